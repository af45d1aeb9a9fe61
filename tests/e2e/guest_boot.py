#!/usr/bin/env python3
"""The guest by itself: kernel, initramfs and agent in a bare QEMU, spoken to in the agent's protocol.

No library, no shim: what fails here is the guest's. Set VH_BOOTS=N to time N boots and do nothing else.
"""
# timeout: 240
import contextlib
import json
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("VH_BUILD") or os.path.join(os.path.dirname(__file__), "../../build")
MAGIC = 0x31414856
START, QUIESCE, RESUMED, RESTORED, SIGNAL, STOP, PING, ADJUST = range(1, 9)
NAMES = {0x41: "HELLO", 0x42: "STARTED", 0x43: "READY", 0x44: "OUTPUT", 0x45: "EXITED", 0x46: "ERROR",
         0x47: "LOG", 0x48: "PONG", 0x49: "QUIESCED"}
DEADLINE = 40


def field(tag, value):
    if isinstance(value, int):
        raise TypeError("say u32() or u64()")
    return struct.pack("<HI", tag, len(value)) + value


def u32(tag, value):
    return field(tag, struct.pack("<I", value))


def u64(tag, value):
    return field(tag, struct.pack("<Q", value))


def strings(tag, values):
    return field(tag, b"".join(v.encode() + b"\0" for v in values))


def frame(kind, *fields):
    body = b"".join(fields)
    return struct.pack("<IHHI", MAGIC, kind, 0, len(body)) + body


def start(argv, user="web", cwd="/made/for it", port=0):
    return frame(START, strings(1, argv), strings(2, ["GREETING=hi"]), strings(3, [cwd]), strings(4, [user]),
                 strings(5, ["fn"]), field(6, bytes([172, 16, 0, 2])), u32(7, 30), field(8, bytes([172, 16, 0, 1])),
                 field(9, bytes(6)), strings(10, ["10.0.0.1"]), u32(11, port), u64(12, 64 << 20),
                 u64(14, time.time_ns()), field(15, os.urandom(64)))


def restored(generation, env):
    return frame(RESTORED, u64(1, time.time_ns()), field(2, os.urandom(64)), u64(3, generation), strings(4, env))


def connect(path, process):
    end = time.monotonic() + DEADLINE
    while True:
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(path)
            s.settimeout(DEADLINE)
            return s
        except OSError:
            s.close()
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"FAILED: no {path}, QEMU ended with {process.poll()}")
            time.sleep(0.005)


class Vm:
    """A QEMU and the agent's channel. |memory| is the file of its RAM; |state| restores instead of booting."""

    def __init__(self, scratch, files, memory, state=None):
        self.dir = tempfile.mkdtemp(dir=scratch)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.begin = time.monotonic()
        command = [
            "qemu-system-x86_64", "-M", "microvm,acpi=on,rtc=on,memory-backend=ram", "-accel", "tcg", "-cpu", "max",
            "-m", "256", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-object", f"memory-backend-file,id=ram,size=256M,mem-path={memory},share={'off' if state else 'on'}",
            "-kernel", files["kernel"], "-initrd", files["initramfs"], "-append", files["cmdline"],
            "-serial", f"file:{self.dir}/console", "-qmp", f"unix:{self.dir}/qmp,server=on,wait=off",
            "-device", "virtio-serial-device", "-chardev", f"socket,id=agent,path={self.dir}/a,server=on,wait=off",
            "-device", "virtserialport,chardev=agent,name=vhive.agent",
            "-drive", f"id=root,file={files['root']},format=raw,if=none,readonly=on",
            "-device", "virtio-blk-device,drive=root",
            "-netdev", f"user,id=net,net=172.16.0.0/24,host=172.16.0.1,hostfwd=tcp:127.0.0.1:{self.port}-172.16.0.2:8080",
            "-device", "virtio-net-device,netdev=net"]
        self.process = subprocess.Popen(command + (["-incoming", "defer"] if state else []))
        self.qmp = connect(f"{self.dir}/qmp", self.process).makefile("rw")
        self.qmp.readline()
        self.monitor("qmp_capabilities")
        self.times = {}
        self.data = b""
        if state:
            self.monitor("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])
            self.monitor("migrate-incoming", uri=f"exec:cat {state}")
            while self.monitor("query-status")["status"] == "inmigrate":
                time.sleep(0.002)
            self.monitor("cont")
        self.agent = connect(f"{self.dir}/a", self.process)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.process.kill()
        self.process.wait()
        if kind:
            with open(f"{self.dir}/console", errors="replace") as console:
                print("console:", console.read()[-2000:], sep="\n")

    def monitor(self, command, **arguments):
        self.qmp.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.qmp.flush()
        while True:
            reply = json.loads(self.qmp.readline())
            if "return" in reply:
                return reply["return"]
            if "error" in reply:
                raise SystemExit(f"FAILED: {command}: {reply['error']['desc']}")

    def send(self, message):
        self.agent.sendall(message)

    def receive(self):
        """Next message: name, stream, fields by tag. None at the end of the channel."""
        while True:
            if len(self.data) >= 12:
                magic, kind, stream, n = struct.unpack_from("<IHHI", self.data)
                check(magic == MAGIC, f"frame begins {self.data[:16]}")
                if len(self.data) >= 12 + n:
                    body, self.data, fields = self.data[12:12 + n], self.data[12 + n:], {}
                    while body:
                        tag, size = struct.unpack_from("<HI", body)
                        fields[tag], body = body[6:6 + size], body[6 + size:]
                    self.times.setdefault(NAMES[kind], time.monotonic() - self.begin)
                    return NAMES[kind], stream, fields
            got = self.agent.recv(1 << 16)
            if not got:
                return None
            self.data += got

    def expect(self, name):
        """Receives until |name| comes; returns its fields and the output on the way."""
        output = {1: bytearray(), 2: bytearray()}
        while True:
            got = self.receive()
            check(got is not None, f"the channel ended before {name}")
            if got[0] == name:
                return got[2], output
            if got[0] == "OUTPUT":
                output[got[1]] += got[2][1]
            else:
                check(got[0] in ("STARTED", "READY", "LOG"), f"{got} came instead of {name}")

    def ask(self, question):
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE) as s:
            s.sendall(question.encode())
            s.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: s.recv(4096), b""))

    def powered_off(self):
        check(self.process.wait(DEADLINE) == 0, "QEMU's exit code")


def check(fact, what):
    if not fact:
        raise SystemExit(f"FAILED: {what}")


def number(value):
    return int.from_bytes(value, "little")


def exit_of(vm, argv, **kw):
    """EXITED of a function and what came before: code, ERROR's stage and text."""
    stage = text = None
    vm.expect("HELLO")
    vm.send(start(argv, **kw))
    while True:
        name, _, fields = vm.receive()
        if name == "ERROR":
            stage, text = fields[1][:-1].decode(), fields[2][:-1].decode()
        if name == "EXITED":
            vm.send(frame(STOP))
            vm.powered_off()
            return number(fields[1]), stage, text


def serve(boot):
    with boot() as vm:
        hello, _ = vm.expect("HELLO")
        check(number(hello[1]) == 1, "version of the protocol")
        vm.send(start(["guest-function", "serve"], port=8080))
        _, out = vm.expect("READY")
        while not (out[1] and out[2]):  # what was said before the port opened may be read after it
            name, stream, fields = vm.receive()
            check(name == "OUTPUT", f"{name} came instead of OUTPUT")
            out[stream] += fields[1]
        said = out[1].decode()
        for want in ("uid=33 gid=44 groups=27", "fds=3 session=1", "host=fn", "cwd=/made/for it", "GREETING=hi",
                     "HOME=/srv/web", "PATH=/usr/local/sbin:"):
            check(want in said, f"'{want}' in '{said}'")
        check(bytes(out[2]) == b"to stderr\n", "standard error")
        check(vm.ask("root") == b"fine", "root file system")
        check(vm.ask("generation") == b"0\n", "generation before any restore")
        check(abs(int(vm.ask("clock")) - time.time_ns()) < 50e6, "clock after boot")
        vm.send(frame(PING))
        vm.expect("PONG")
        print(f"boot: HELLO {vm.times['HELLO']:.2f} s, READY {vm.times['READY']:.2f} s")
        return snapshot(vm, boot)


def snapshot(vm, boot):
    """Quiesces, saves, resumes the original, then restores two clones of what was saved."""
    memory, state = f"{vm.dir}/memory", f"{vm.dir}/state"
    vm.send(frame(QUIESCE))
    vm.expect("QUIESCED")
    check(not vm.data, "silence after QUIESCED")
    vm.monitor("stop")
    vm.monitor("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])
    vm.monitor("migrate", uri=f"exec:cat > {state}")
    while vm.monitor("query-migrate").get("status") not in ("completed", "failed"):
        time.sleep(0.005)
    shutil.copyfile(vm.memory, memory)
    vm.monitor("cont")
    vm.send(frame(RESUMED))
    check(vm.ask("generation") == b"0\n", "the original is none the wiser")
    randoms = [vm.ask("random")]
    for generation in (1, 2):
        with boot(memory, state) as clone:
            clone.send(restored(generation, ["POD=p%d" % generation, "X=y z"]))
            pong, _ = clone.expect("PONG")
            late = time.time_ns() - number(pong[2])
            after = time.monotonic() - clone.begin
            check(number(pong[1]) == generation, "generation of the clone")
            clone.send(frame(ADJUST, field(1, struct.pack("<q", late))) + frame(PING))
            pong, _ = clone.expect("PONG")
            check(abs(number(pong[2]) - time.time_ns()) < 50e6, "clock of the clone")
            check(clone.ask("generation") == b"%d\n" % generation, "generation that the function sees")
            check(clone.ask("env") == b"GREETING=hi\0POD=p%d\0X=y z\0" % generation, "environment that the function sees")
            randoms.append(clone.ask("random"))
            clone.send(frame(STOP, u32(2, 2000)))
            exited, _ = clone.expect("EXITED")
            check(number(exited[2]) == 15, "the clone ends by SIGTERM")
            print(f"clone {generation}: PONG {after:.3f} s after QEMU's start")
    check(len(set(randoms)) == 3, "clones draw different random numbers")
    vm.send(frame(SIGNAL, u32(1, 9)))
    exited, _ = vm.expect("EXITED")
    check((number(exited[1]), number(exited[2]), number(exited[3])) == (0, 9, 0), "killed by the signal sent")
    vm.powered_off()


def resumed_early(boot):
    """A host that does not wait for the end of a hook goes on with a guest that speaks."""
    with boot(root="hook") as vm:
        vm.expect("HELLO")
        vm.send(start(["guest-function", "serve", "note"], port=8080))
        vm.expect("READY")
        vm.send(frame(QUIESCE))
        time.sleep(0.3)
        vm.send(frame(RESUMED))
        time.sleep(2)
        vm.send(frame(SIGNAL, u32(1, 10)))
        said = b""
        while b"signal 10" not in said:
            name, _, fields = vm.receive()
            check(name == "OUTPUT", f"{name} came instead of OUTPUT")
            said += fields[1]


def flood(boot):
    """A reader that pauses gets every byte, and between them the answer to its PING. (The port takes some 10 MiB.)"""
    with boot() as vm:
        vm.expect("HELLO")
        vm.send(start(["/bin/guest-function", "flood", "40"]))
        time.sleep(1)
        vm.send(frame(PING))
        _, out = vm.expect("PONG")
        total = len(out[1])
        exited, out = vm.expect("EXITED")
        total += len(out[1])
        check(number(exited[1]) == 3, "exit code of the flood")
        check(len(out[1]) > 1 << 20, "PONG comes while the function is held up")
        check(total > 40 << 20, f"all of the flood, not {total} bytes")


def failures(boot):
    for argv, kw, code, stage, words in (
            (["guest-function", "exit", "7"], {}, 7, None, ""),
            (["/bin/no-such"], {}, 127, "exec", "not found"),
            (["no-such"], {}, 127, "exec", "not found"),
            (["/etc/passwd"], {}, 126, "exec", "ermission"),
            (["guest-function"], {"user": "nobody"}, 126, "user", "no such user"),
            (["guest-function"], {"cwd": "/etc/passwd"}, 126, "cwd", "/etc/passwd"),
            ([], {}, 125, "exec", "no command")):
        with boot() as vm:
            got = exit_of(vm, argv, **kw)
            check(got[:2] == (code, stage) and words in (got[2] or ""), f"{argv} {kw} ended in {got}")


def make_root(scratch, name):
    """An image; one that is called "hook" has one before snapshots."""
    root = f"{scratch}/{name}"
    os.makedirs(f"{root}/bin")
    os.makedirs(f"{root}/etc")
    shutil.copy(f"{BUILD}/tests/e2e/guest-function", f"{root}/bin/guest-function")
    with open(f"{root}/etc/passwd", "w") as f:
        f.write("root:x:0:0:root:/root:/bin/sh\nweb:x:33:44:web:/srv/web:/bin/sh\n")
    with open(f"{root}/etc/group", "w") as f:
        f.write("web:x:44:\nvideo:x:27:web\n")
    if name == "hook":
        os.makedirs(f"{root}/etc/vhive/hooks")
        shutil.copy(f"{root}/bin/guest-function", f"{root}/etc/vhive/hooks/pre-snapshot")
    os.chmod(root, 0o777)
    subprocess.run(["mksquashfs", root, f"{root}.squashfs", "-comp", "lz4", "-quiet", "-no-progress"],
                   check=True, stdout=subprocess.DEVNULL)
    return f"{root}.squashfs"


def time_boots(boot, n):
    times = []
    for _ in range(n):
        with boot() as vm:
            vm.expect("HELLO")
            vm.send(start(["guest-function", "serve"], port=8080))
            vm.expect("READY")
            vm.ask("clock")
            times.append((vm.times["HELLO"], vm.times["READY"], time.monotonic() - vm.begin))
    for name, column in zip(("HELLO", "READY", "first answer"), zip(*times)):
        print(f"{name}: median {statistics.median(column):.2f} s, {min(column):.2f}..{max(column):.2f}")


def main():
    if not shutil.which("qemu-system-x86_64"):
        print("skip: qemu: no qemu-system-x86_64")
        sys.exit(77)
    with contextlib.ExitStack() as stack:
        scratch = os.environ.get("VH_SCRATCH") or stack.enter_context(tempfile.TemporaryDirectory(prefix="vhive-g"))
        guest = os.environ.get("VHIVE_GUEST_DIR") or f"{BUILD}/guest"
        out = subprocess.run([f"{BUILD}/tests/e2e/guest-files", os.path.abspath(guest),
                              f"{BUILD}/libexec/vhive/vhive-agent"], check=True, stdout=subprocess.PIPE, text=True)
        files = dict(zip(("kernel", "initramfs", "cmdline"), out.stdout.splitlines()))
        roots = {name: make_root(scratch, name) for name in ("root", "hook")}

        def boot(memory=None, state=None, root="root"):
            ram = memory or tempfile.mktemp(prefix="ram", dir="/dev/shm")
            try:
                vm = Vm(scratch, dict(files, root=roots[root]), ram, state)
                vm.memory = f"/proc/{os.getpid()}/fd/{os.open(ram, os.O_RDONLY)}"
                return vm
            finally:
                if not memory:
                    os.unlink(ram)  # QEMU and our descriptor hold it

        if "VH_BOOTS" in os.environ:
            time_boots(boot, int(os.environ["VH_BOOTS"]))
            return
        serve(boot)
        resumed_early(boot)
        flood(boot)
        failures(boot)


main()
