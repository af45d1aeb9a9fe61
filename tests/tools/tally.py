#!/usr/bin/env python3
"""tally.py RESULTS...: adds up test results and prints "N passed, N failed, N skipped", above it the end of what each
failed one had to say; exits with 1 if any failed or none passed.

RESULTS are files of ctest --output-junit (*.xml), of which a cmocka program counts as the tests it holds, and lists of
lines "passed NAME", "failed NAME" or "skipped NAME", which lie in the folder of the logs.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

CMOCKA_RUN = re.compile(r"\[=+\] .*?(\d+) test\(s\) run\.")
LOG_LINES = 25  # of each failed test
CMOCKA_LISTED = re.compile(r"\[ +(SKIPPED|FAILED) +\].*?(\d+) test\(s\), listed below")


def of_case(case):
    """Counts of one CTest test."""
    output = case.findtext("system-out") or ""
    failed = case.find("failure") is not None or case.find("error") is not None
    run = sum(map(int, CMOCKA_RUN.findall(output)))
    if not run:
        return Counter({"failed" if failed else "skipped" if case.find("skipped") is not None else "passed": 1})
    counts = Counter()
    for kind, number in CMOCKA_LISTED.findall(output):
        counts[kind.lower()] += int(number)
    counts["passed"] = run - counts["skipped"] - counts["failed"]
    if failed and not counts["failed"]:
        counts["failed"] = 1  # it crashed, or a sanitizer spoke at its end
    return counts


def tell(name, log):
    print(f"failed   {name}")
    for line in log.replace("\0", "").splitlines()[-LOG_LINES:]:
        print(f"    | {line[:500]}")


def of_junit(path):
    total = Counter()
    for case in ElementTree.parse(path).iter("testcase"):
        counts = of_case(case)
        if counts["failed"]:
            tell(f"{case.get('name')} ({path})", case.findtext("system-out") or "")
        total.update(counts)
    return total


def of_list(path):
    total = Counter()
    for line in filter(None, Path(path).read_text().splitlines()):
        outcome, name = line.split(maxsplit=1)
        total[outcome] += 1
        if outcome == "failed":
            tell(f"{name} ({path})", Path(path).with_name(f"{Path(name).name}.log").read_text(errors="replace"))
    return total


def main():
    total = Counter()
    for path in sys.argv[1:]:
        total.update(of_junit(path) if path.endswith(".xml") else of_list(path))
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    sys.exit(1 if total["failed"] or not total["passed"] else 0)


if __name__ == "__main__":
    main()
