"""The end-to-end tests' hand on a process that has one VM and does with it what it is told: vms/vm_host.c."""
import os
import subprocess

from vhive_e2e import BUILD, check, children, command_of


class VmHost:
    """The process; |address| and |id| are those of the VM that was run last."""

    def __init__(self, reference):
        self.process = subprocess.Popen([os.path.join(BUILD, "tests/e2e/vm-host"), reference],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self.id = None

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self):
        return self.process.stdout.readline().strip()

    def do(self, line):
        self.say(line)
        answer = self.hear()
        check(answer and not answer.startswith("error:"), "%s: %s" % (line, answer))
        return answer

    def refuses(self, line, code, *words):
        self.say(line)
        answer = self.hear()
        check(answer.startswith("error: %s: " % code), "%s: %s" % (line, answer))
        for word in words:
            check(word in answer, "%s: no '%s' in: %s" % (line, word, answer))

    def run(self, engine, want, *variable):
        answer = self.do(" ".join(["run", engine, *variable])).split(" ")
        check(answer[0] == want, "run %s: it came up by %s, not %s" % (engine, answer[0], want))
        self.address, self.id = answer[1], answer[2]
        return answer[3] if len(answer) > 3 else ""

    def vmm(self):
        """Process id of the VM's QEMU."""
        return next(p for p in children(self.process.pid) if command_of(p).startswith("qemu-system"))

    def end(self):
        self.process.stdin.close()
        check(self.process.wait(20) == 0, "the host's exit code")
