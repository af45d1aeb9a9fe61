"""What the end-to-end tests in Python start from.

tests/run.sh gives each a scratch folder of its own (VH_SCRATCH), with state and run directory in it
(VHIVE_STATE_DIR, VHIVE_RUN_DIR); a test that is started by itself goes through tests/run.sh, so that it is always
looked after. A comment line "# timeout: SECONDS" in a test replaces the 180 it has.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

E2E = os.path.dirname(os.path.abspath(__file__))

if "VH_SCRATCH" not in os.environ:
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    runner = os.path.join(E2E, os.pardir, "run.sh")
    os.execv(runner, [runner, "--no-install", "^e2e/%s$" % name])

BUILD = os.environ["VH_BUILD"]
SCRATCH = os.environ["VH_SCRATCH"]
STATE = os.environ["VHIVE_STATE_DIR"]
CTL = os.path.join(BUILD, "bin/vhive-ctl")
ENGINES = ("file", "uffd", "reap")
GREETER = 'grpc:helloworld.Greeter/SayHello:{"name":"%s"}'


def fail(text):
    sys.exit("FAILED: " + text)


def check(condition, text):
    if not condition:
        fail(text)


def need(*capabilities):
    """Ends the test as skipped where one of the capabilities is missing."""
    have = {
        "root": lambda: os.geteuid() == 0,
        "qemu": lambda: shutil.which("qemu-system-x86_64"),
        "uffd": lambda: os.path.exists("/dev/userfaultfd"),
    }
    for capability in capabilities:
        if not have[capability]():
            print("skip: %s: it is missing" % capability)
            sys.exit(77)


def image(name):
    """Reference of an example function; one that is a reference already stays as it is."""
    if ":" in name:
        return name
    return "oci:%s/functions/%s" % (BUILD, name)


def libraries(program):
    """Paths of the shared libraries that a program needs, the loader among them; none if it is static."""
    found = subprocess.run(["ldd", program], capture_output=True, text=True)
    return re.findall(r"(/\S+) \(0x", found.stdout) if found.returncode == 0 else []


def make_image(name, files, programs=(), config=()):
    """Makes an OCI layout in the scratch folder: |files| maps its paths to (text or host path, mode), |programs| are
    taken from this machine with their libraries, |config| are arguments of `umoci config`. Gives its reference."""
    layout, root = os.path.join(SCRATCH, name), os.path.join(SCRATCH, name + ".root")
    for folder in ("usr/bin", "usr/lib", "usr/lib64", "etc", "tmp"):
        os.makedirs(os.path.join(root, folder))
    os.chmod(os.path.join(root, "tmp"), 0o1777)
    for link in ("bin", "lib", "lib64"):
        os.symlink("usr/" + link, os.path.join(root, link))
    wanted = {shutil.which(p) or p for p in programs}
    for path in set(wanted).union(*(libraries(p) for p in wanted)):
        os.makedirs(root + os.path.dirname(path), exist_ok=True)
        shutil.copy(path, root + path)
    for path, (content, mode) in files.items():
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        if content.startswith("/"):
            shutil.copy(content, root + path)
        else:
            with open(root + path, "w") as f:
                f.write(content)
        os.chmod(root + path, mode)
    tar = layout + ".tar"
    subprocess.run(["tar", "-cf", tar, "--owner=0", "--group=0", "-C", root, "."], check=True)
    tag = layout + ":latest"
    for command in (["init", "--layout", layout], ["new", "--image", tag],
                    ["raw", "add-layer", "--no-history", "--image", tag, tar],
                    ["config", "--no-history", "--image", tag, *config]):
        subprocess.run(["umoci", *command], check=True, capture_output=True)
    return "oci:" + layout


def guest_function(name, files, programs=(), config=(), command=("serve",)):
    """Reference of an image of guest/function.c with more files, programs and configuration."""
    entry = ["--config.entrypoint=" + word for word in ("/bin/guest-function", *command)]
    return make_image(name, {"/bin/guest-function": (BUILD + "/tests/e2e/guest-function", 0o755), **files}, programs,
                      [*entry, "--config.exposedports=8080/tcp", *config])


def ask(address, question):
    """Answer of the guest-function at |address| to one question."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), 20) as s:
        s.sendall(question.encode())
        s.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: s.recv(4096), b""))


def ctl(*args, timeout=120, env=None):
    """Runs vhive-ctl to its end; nothing is checked."""
    return subprocess.run([CTL, *args], capture_output=True, text=True, timeout=timeout, env=env)


def ctl_ok(*args, **more):
    """Runs vhive-ctl, which must succeed; what it printed."""
    done = ctl(*args, **more)
    check(done.returncode == 0, "vhive-ctl %s: exit code %d\n%s" % (" ".join(args), done.returncode, done.stderr))
    return done.stdout


def invoke(name, engine, spec, *more):
    """Starts a function by an engine, calls it once, ends it: the object that `run -o json` prints."""
    out = ctl_ok("run", image(name), "--engine", engine, "--invoke", spec, "-o", "json", *more)
    return json.loads(out)


def evict():
    """Drops every file of the state directory's snapshots from the page cache."""
    subprocess.run([os.path.join(E2E, "../../scripts/evict.py"), os.path.join(STATE, "snapshots")], check=True)


def snapshot_dir():
    """The only snapshot's directory."""
    root = os.path.join(STATE, "snapshots")
    found = [n for n in os.listdir(root) if re.fullmatch("[0-9a-f]{16,}", n)]
    check(len(found) == 1, "want one snapshot, there are %s" % found)
    return os.path.join(root, found[0])


class Background:
    """vhive-ctl in the background, with all that it prints in a file."""

    def __init__(self, *args, env=None):
        self.log = open(os.path.join(SCRATCH, "run-%d.log" % time.monotonic_ns()), "w+")
        self.process = subprocess.Popen([CTL, *args], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT, env=env)

    def text(self):
        with open(self.log.name, errors="replace") as f:
            return f.read()

    def victim(self, name):
        """Process id of the program |name| (its beginning) of this command, None if it does not run."""
        if name == "vhive-ctl":
            return self.process.pid
        return next((p for p in children(self.process.pid) if command_of(p).startswith(name)), None)

    def end(self, sig=signal.SIGTERM, seconds=20):
        """Ends it and gives its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            fail("did not end within %d s\n%s" % (seconds, self.text()))
        finally:
            self.log.close()


class Run(Background):
    """`vhive-ctl run` in the background: a context manager that ends it by SIGTERM. |what| is the name of an example
    function, or the reference of an image."""

    def __init__(self, what, engine, *more, env=None):
        super().__init__("run", image(what), "--engine", engine, *more, env=env)
        self.address = None

    def __enter__(self):
        self.wait_ready()
        return self

    def __exit__(self, *_):
        self.end()

    def is_ready(self):
        found = re.search(r"^\0*ready: (\S+:\d+)$", self.text(), re.M)  # a hook may print what is no line
        self.address = found.group(1) if found else None
        return found is not None

    def wait_ready(self, seconds=60):
        """Waits for the line that tells the address."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.is_ready():
                return self.address
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        fail("not ready: exit code %s\n%s" % (self.process.poll(), self.text()))

    def get(self, path, data=None, timeout=20):
        """Body of an HTTP request to the function."""
        with urllib.request.urlopen("http://%s%s" % (self.address, path), data=data, timeout=timeout) as answer:
            return answer.read()


def children(pid):
    """Process ids below |pid|, the nearest first."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open("/proc/%s/stat" % entry) as f:
                    parents.setdefault(int(f.read().rsplit(")", 1)[1].split()[1]), []).append(int(entry))
            except (FileNotFoundError, ProcessLookupError):
                pass
    found, todo = [], [pid]
    while todo:
        below = parents.get(todo.pop(0), [])
        found += below
        todo += below
    return found


def command_of(pid):
    """Name of the program that a process runs, "" if it has ended."""
    try:
        with open("/proc/%d/comm" % pid) as f:
            return f.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
