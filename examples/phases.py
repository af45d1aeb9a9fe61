#!/usr/bin/env python3
"""phases.py [--answer] NAME=FILE...: results of "vhive-ctl run --invoke -o json" side by side.

A table of the phases in milliseconds, one column per file, overlapped ones in brackets, those that took no time left
out; or with --answer a line for
each: the function's answer and how long it took to come.
"""
import json
import sys


def milliseconds(us):
    return f"{us / 1e3:.1f}"


def cells(result):
    """{phase: text}, phases of one name added up."""
    spent = {}
    for phase in result["phases"]:
        key = phase["id"], phase["critical"]
        spent[key] = spent.get(key, 0) + phase["us"]
    texts = {}
    for (name, critical), us in spent.items():
        text = milliseconds(us) if critical else f"({milliseconds(us)})"
        texts[name] = f"{texts[name]} {text}" if name in texts else text
    return texts


def phase_order(results):
    """Names of all phases, each where it first comes after those before it."""
    order = []
    for result in results.values():
        at = 0
        for phase in result["phases"]:
            if phase["id"] in order:
                at = order.index(phase["id"]) + 1
            else:
                order.insert(at, phase["id"])
                at += 1
    return order


def critical_share(result):
    critical = sum(p["us"] for p in result["phases"] if p["critical"])
    return f"{100 * critical / result['total_us']:.1f}%"


def print_table(results):
    rows = [["phase, ms", *results]]
    spent = [cells(result) for result in results.values()]
    rows += [[name, *(c.get(name, "") for c in spent)] for name in phase_order(results)
             if any(c.get(name, "0.0") != "0.0" for c in spent)]
    rows.append(["total", *(milliseconds(r["total_us"]) for r in results.values())])
    rows.append(["critical phases", *(critical_share(r) for r in results.values())])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print(row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:])), sep="  ")


def main():
    arguments = sys.argv[1:]
    answer = "--answer" in arguments
    pairs = [a.partition("=") for a in arguments if a != "--answer"]
    if not pairs or not all(file for _, _, file in pairs):
        sys.exit(__doc__)
    results = {}
    for name, _, file in pairs:
        with open(file, encoding="utf-8") as stream:
            results[name] = json.load(stream)
    if not answer:
        print_table(results)
        return
    for name, result in results.items():
        print(f"{name:12} {milliseconds(result['total_us']):>9} ms   {result['body'].strip()[:80]}")


if __name__ == "__main__":
    main()
