#!/usr/bin/env python3
"""bars.py FILE...: compares documents of `vhive-bench cold-start --format json` with the bars of docs/performance.md.
A bar that a document has no runs for is passed over. Exit code 1: one is missed."""
import json
import math
import sys


def bars(document):
    """(what, value, bar) of each bar that the document can be held to; the value must not be above the bar."""
    p50 = {(s["function"], s["engine"]): s["p50_us"] for s in document["summary"] if s["n"]}
    ratios = {function: p50[function, "reap"] / file_us for (function, engine), file_us in p50.items()
              if engine == "file" and (function, "reap") in p50}
    drop = document["host"]["drop"]
    if drop == "snapshot" and "hello" in ratios:
        yield "hello, reap/file", ratios["hello"], 0.78
    if drop == "snapshot" and ("hello", "uffd") in p50 and "hello" in ratios:
        yield "hello, reap/uffd", p50["hello", "reap"] / p50["hello", "uffd"], 0.55
    if drop == "snapshot" and ("hello", "reap-shell") in p50 and "hello" in ratios:
        yield "hello, reap-shell/file", p50["hello", "reap-shell"] / p50["hello", "file"], 0.5
    if drop == "snapshot" and len(ratios) > 1:
        mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
        worst = max(ratios, key=ratios.get)
        yield "geometric mean of reap/file, %d functions" % len(ratios), mean, 0.7
        yield "worst reap/file, %s" % worst, ratios[worst], 0.95
    if drop == "all":
        for function, ratio in sorted(ratios.items()):
            yield "%s, reap/file, everything cold" % function, ratio, 0.999
    shares = [sum(p["us"] for p in run["phases"] if p["critical"]) / run["total_us"] for run in document["runs"]
              if run["ok"]]
    if shares:
        yield "worst share that phases leave unexplained", 1 - min(shares), 0.01
    yield "runs that failed", sum(not run["ok"] for run in document["runs"]), 0


def cached_bars(documents):
    """The bar over two documents: reap with cold files against file with everything cached."""
    def medians(drop, engine):
        return {s["function"]: s["p50_us"] for d in documents if d["host"]["drop"] == drop for s in d["summary"]
                if s["n"] and s["engine"] == engine}
    cached = medians("none", "file")
    for function, cold_us in sorted(medians("snapshot", "reap").items()):
        if function in cached:
            yield "%s, reap cold / file with everything cached" % function, cold_us / cached[function], 1.3


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    documents = []
    for path in sys.argv[1:]:
        with open(path) as file:
            documents.append(json.load(file))
    missed = 0
    for path, document in zip(sys.argv[1:], documents):
        for what, value, bar in bars(document):
            missed += value > bar
            print("%-6s %6.3f  bar %5.3f  %s (%s)" % ("missed" if value > bar else "ok", value, bar, what, path))
    for what, value, bar in cached_bars(documents):
        missed += value > bar
        print("%-6s %6.3f  bar %5.3f  %s" % ("missed" if value > bar else "ok", value, bar, what))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
