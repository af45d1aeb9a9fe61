#!/usr/bin/env python3
"""A function is stopped by its image's signal, whichever way it is written, and killed when it does not end in time."""
import signal
import time

from vhive_e2e import Run, check, guest_function, need

need("root", "qemu", "uffd")
FORMS = {"SIGUSR2": 12, "QUIT": 3, "36": 36, "SIGRTMIN+3": 37, "RTMAX-1": 63}


def stop(image, sig, *more):
    """Runs the image, ends it by |sig|: its output, exit code and how long it took."""
    run = Run(image, "boot", *more)
    run.wait_ready()
    began = time.monotonic()
    code = run.end(sig)
    return run.text(), code, time.monotonic() - began


for i, (form, number) in enumerate(FORMS.items()):
    image = guest_function("stop-%d" % i, {}, config=["--config.stopsignal=" + form], command=("serve", "obey"))
    text, code, took = stop(image, signal.SIGINT if i % 2 else signal.SIGTERM)
    check("signal %d\n" % number in text, "stop signal %s: %s" % (form, text))
    check(code == (130 if i % 2 else 143) and took < 5, "stopped with code %d after %.1f s" % (code, took))

plain = guest_function("stop-plain", {}, command=("serve", "obey"))
check("signal 15\n" in stop(plain, signal.SIGTERM)[0], "without a stop signal it is SIGTERM")

stubborn = guest_function("stop-stubborn", {}, config=["--config.stopsignal=SIGINT"], command=("serve", "note"))
text, code, took = stop(stubborn, signal.SIGTERM, "--timeout-stop", "2s")
check("signal 2\n" in text and code == 143, "stubborn: code %d\n%s" % (code, text))
check(1.5 < took < 8, "a stubborn function is killed after %.1f s" % took)
