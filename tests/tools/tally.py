#!/usr/bin/env python3
"""tally.py RESULTS...: adds up test results and prints "N passed, N failed, N skipped"; exits with 1 if any failed or
none passed.

RESULTS are files of ctest --output-junit (*.xml), of which a cmocka program counts as the tests it holds, and lists of
lines "passed NAME", "failed NAME" or "skipped NAME".
"""
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

CMOCKA_RUN = re.compile(r"\[=+\] .*?(\d+) test\(s\) run\.")
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


def of_junit(path):
    total = Counter()
    for case in ElementTree.parse(path).iter("testcase"):
        total.update(of_case(case))
    return total


def of_list(path):
    return Counter(line.split()[0] for line in Path(path).read_text().splitlines() if line)


def main():
    total = Counter()
    for path in sys.argv[1:]:
        total.update(of_junit(path) if path.endswith(".xml") else of_list(path))
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    sys.exit(1 if total["failed"] or not total["passed"] else 0)


if __name__ == "__main__":
    main()
