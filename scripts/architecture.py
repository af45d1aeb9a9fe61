#!/usr/bin/env python3
"""architecture.py --check | --write: the module diagram in docs/architecture.md, from the DEPS of the CMake files.

--check fails when the diagram is stale, --write brings it up to date.
"""
import argparse
import sys
from pathlib import Path

import modules

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/architecture.md"
BEGIN = "<!-- modules: made by scripts/architecture.py --write -->\n"
END = "<!-- end of modules -->\n"


def direct(graph, name):
    """Dependencies of |name| that no other dependency of it already brings; base is under everything."""
    def below(start):
        found = set()
        for dep in graph.get(start, []):
            found |= {dep} | below(dep)
        return found
    deps = graph[name]
    indirect = set().union(*(below(dep) for dep in deps)) if deps else set()
    return [dep for dep in deps if dep not in indirect]


def diagram(graph, programs):
    lines = ["```mermaid", "flowchart TD"]
    for name in reversed(graph):
        lines += [f"    {name} --> {dep}" for dep in direct(graph, name)] or [f"    {name}"]
    for name, links in programs.items():
        deps = [dep for dep in links if dep in graph]  # what commands share stands below cli/ itself
        node = f"cli_{name}"  # a program may have a module's name
        whole = {**graph, node: deps}
        lines += [f'    {node}(["cli/{name}"]) --> {dep}' for dep in direct(whole, node)]
    return "\n".join([*lines, "```", ""])


def table(graph, programs):
    lines = ["| module | includes |", "|---|---|"]
    lines += [f"| `{name}` | {', '.join(deps) or '-'} |" for name, deps in graph.items()]
    lines += [f"| `cli/{name}` | {', '.join(deps) or '-'} |" for name, deps in programs.items()]
    return "\n".join([*lines, ""])


def renewed(text):
    graph, programs = modules.libraries(ROOT), modules.programs(ROOT)
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return before + BEGIN + "\n" + diagram(graph, programs) + "\n" + table(graph, programs) + "\n" + END + after


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true")
    mode.add_argument("--write", action="store_true")
    options = parser.parse_args()
    text = PAGE.read_text()
    fresh = renewed(text)
    if options.write:
        PAGE.write_text(fresh)
    elif text != fresh:
        sys.exit(f"{PAGE.relative_to(ROOT)} is stale: run scripts/architecture.py --write")


if __name__ == "__main__":
    main()
