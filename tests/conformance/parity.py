#!/usr/bin/env python3
"""parity.py [--least N] DIRECT.xml THROUGH.xml

Compares two junit reports of critest: exits with 0 if each test ended alike in both, and names those that did not.
Fails also where fewer than N (80) tests passed in DIRECT, since two runs in which nothing worked are alike, too.
"""
import argparse
import collections
import sys
import xml.etree.ElementTree as ElementTree


def outcomes(path):
    """Name of each test -> passed, failed or skipped. Set-up and tear-down of the whole suite count as tests."""
    return {case.get("name"): case.get("status") for case in ElementTree.parse(path).iter("testcase")}


def summary(tests):
    counts = collections.Counter(status for name, status in tests.items() if name.startswith("[It]"))
    return ", ".join(f"{counts.pop(status, 0)} {status}" for status in ("passed", "failed", "skipped")) + "".join(
        f", {number} {status}" for status, number in sorted(counts.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--least", type=int, default=80, help="tests that must pass in DIRECT (80)")
    parser.add_argument("direct")
    parser.add_argument("through")
    args = parser.parse_args()
    direct, through = outcomes(args.direct), outcomes(args.through)
    print("direct: ", summary(direct))
    print("through:", summary(through))
    for name in sorted(n for n, status in direct.items() if status == "failed"):
        print("fails directly, too:", name)
    different = sorted(n for n in direct.keys() | through.keys() if direct.get(n) != through.get(n))
    for name in different:
        print(f"differs: {name}: {direct.get(name, 'not run')}, but {through.get(name, 'not run')} through it")
    passed = sum(status == "passed" and name.startswith("[It]") for name, status in direct.items())
    if passed < args.least:
        sys.exit(f"only {passed} tests passed directly: that says nothing")
    print(f"{len(different)} differences")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
