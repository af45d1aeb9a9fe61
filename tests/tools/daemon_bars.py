#!/usr/bin/env python3
"""daemon_bars.py BUILD [--functions N] [--starts N]: what an idle vhived costs, against its bars: private memory, shared
libraries apart, and the time from exec to READY=1 with 100 deployed functions. Needs root and the example functions;
works in a folder of its own. Exit code 1: a bar is missed.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))


def idle_kib(pid):
    from private_memory import private_kib
    return private_kib(pid)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--functions", type=int, default=100)
    parser.add_argument("--starts", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vhived-") as scratch:
        os.environ.update(VH_BUILD=os.path.abspath(options.build), VH_SCRATCH=scratch,
                          VHIVE_STATE_DIR=scratch + "/state", VHIVE_RUN_DIR=scratch + "/run")
        missed = measure(options)
    sys.exit(1 if missed else 0)


def measure(options):
    from vhive_daemon import Control, Daemon
    from vhive_e2e import image
    with Daemon() as d:
        empty = idle_kib(d.process.pid)
        control = Control(d.control)
        for i in range(options.functions):
            control.deploy("f%d" % i, image("pyhello"))
        time.sleep(31)  # until it has given back what the conversion took
        after = idle_kib(d.process.pid)
    starts = []
    for _ in range(options.starts):
        with Daemon() as d:
            starts.append(d.ready_s * 1000)
            loaded = idle_kib(d.process.pid)
    bars = [("KiB private, no function", empty, 3072),
            ("KiB private, %d functions loaded" % options.functions, loaded, 3072),
            ("KiB private, 30 s after a conversion and %d deployments" % options.functions, after, 3072),
            ("ms to READY with %d functions, median" % options.functions, statistics.median(starts), 50)]
    for what, value, bar in bars:
        print("%-60s %8.1f  bar %d  %s" % (what, value, bar, "ok" if value <= bar else "MISSED"))
    print("starts in ms: " + " ".join("%.0f" % s for s in sorted(starts)))
    return any(value > bar for _, value, bar in bars)


if __name__ == "__main__":
    main()
