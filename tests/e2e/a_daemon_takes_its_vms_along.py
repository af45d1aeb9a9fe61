#!/usr/bin/python3
"""However vhived ends, no VM of its functions outlives it; and the next one serves the same functions at the same
addresses."""
# timeout: 300
import os
import signal
import time

from vhive_daemon import RUN, Control, Daemon, http
from vhive_e2e import check, children, command_of, fail, image, need

need("root", "qemu")


def wait_for(what, condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, "%s: not within %d s" % (what, seconds))
        time.sleep(0.05)


def vm_folders():
    return os.listdir(os.path.join(RUN, "vms"))


def the_function(control):
    return control.ListFunctions(name="hello").functions[0]


def its_processes(daemon):
    """Process ids of shims and QEMUs."""
    found = [p for p in children(daemon.process.pid) if command_of(p).startswith(("vhive-shim", "qemu"))]
    check(len(found) >= 2, "what runs the instance? %s" % [command_of(p) for p in found])
    return found


def serves(daemon, control):
    """Waits until the function's one instance is up, calls it at its address; that address."""
    wait_for("an instance", lambda: the_function(control).ready == 1, 120)
    address = the_function(control).address.removeprefix("tcp:")
    status, _, body = http(address, "/", timeout=30)
    check(status == 200 and body.startswith("Hello"), "%d %s" % (status, body))
    check(len(vm_folders()) == 1, "folders of VMs: %s\n%s" % (vm_folders(), daemon.log()))
    return address


def ends_in_order(daemon):
    running = its_processes(daemon)
    daemon.process.send_signal(signal.SIGTERM)
    if not daemon.notify.wait("STOPPING=1", 10):
        fail("it does not tell that it stops")
    check(daemon.get("/readyz")[::2] == (503, "stopping\n"), "ready while it stops")
    check(daemon.process.wait(60) == 0, "exit code\n" + daemon.log())
    check(not [p for p in running if command_of(p)], "processes are left")
    check(not vm_folders(), "folders are left: %s" % vm_folders())


def is_killed(daemon):
    running = its_processes(daemon)
    daemon.end(signal.SIGKILL)
    wait_for("the end of its VMs", lambda: not [p for p in running if command_of(p)], 10)
    check(vm_folders(), "nothing is left for the next one to clear up")


with Daemon() as first:
    api = Control(first.control)
    api.deploy("hello", image("pyhello"), min=1, max=1)
    place = serves(first, api)
    ends_in_order(first)

second = Daemon().wait_ready()
api = Control(second.control)
check(serves(second, api) == place, "another address than before")
is_killed(second)

with Daemon() as third:
    api = Control(third.control)
    check(serves(third, api) == place, "another address than before")
    api.Remove(name="hello")
    check(not api.ListFunctions().functions and not vm_folders(), "removed, and still there: %s" % vm_folders())
