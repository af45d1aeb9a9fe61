#!/usr/bin/env python3
"""curl kubelet:10255/pods | pods.py [NAME]

Prints a line for each pod that kubelet tells of: name, "ready" or its phase, address, and the ids of its containers;
with NAME only that pod's, and exit code 1 unless it is ready.
"""
import json
import sys


def is_ready(status):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))


def line(pod):
    status = pod["status"]
    containers = sorted(c.get("containerID", "-") for c in status.get("containerStatuses", []))
    state = "ready" if is_ready(status) else status.get("phase", "unknown")
    return " ".join([pod["metadata"]["name"], state, status.get("podIP", "-"), *containers])


def main():
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__)
        return
    lines = [line(pod) for pod in json.load(sys.stdin)["items"] or []]
    if len(sys.argv) > 1:
        # static pods have the node's name behind their own
        lines = [text for text in lines if text.split()[0] == f"{sys.argv[1]}-node"]
        print(*lines, sep="\n")
        sys.exit(0 if [text.split()[1] for text in lines] == ["ready"] else 1)
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
