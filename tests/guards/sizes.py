"""sizes.py: prints the tree's figures beside the best of six C projects (crun, libuv, nghttp2, kvmtool, conmon,
libkrun). It reports and never fails. Functions are found by the tree's own layout: they open and close in column 0."""
import re
from statistics import median

from documented import PROTOTYPE, undocumented
from guard import ROOT, files, without_comments
import modules

FUNCTION = re.compile(r"^(?!typedef|struct|enum|union)(\w[^\n;{}()]*?\b(\w+)\(([^;{}]*)\))\n\{\n(.*?)^\}", re.M | re.S)
DECISION = re.compile(r"\b(?:if|for|while|case)\b|&&|\|\||\?")


class Function:
    def __init__(self, match):
        head, self.name, parameters, body = match.groups()
        self.lines = head.count("\n") + body.count("\n") + 3
        self.static = head.startswith("static")
        self.decisions = len(DECISION.findall(body)) + 1
        self.parameters = 0 if parameters.strip() in ("", "void") else parameters.count(",") + 1
        self.gotos = len(re.findall(r"\bgoto\b", body))
        self.nesting = 1 + max(((len(line) - len(line.lstrip(" "))) // 4 for line in body.splitlines()
                                if line.rstrip().endswith("{")), default=0)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0


def spread(values):
    if not values:
        return "-"
    return f"{median(values):.0f} / {percentile(values, 0.95)} / {max(values)}"


def share(part, whole):
    return f"{100 * part / whole:.1f}%" if whole else "-"


def code_lines(text):
    return sum(1 for line in without_comments(text).splitlines() if line.strip())


def cycles(graph):
    """Modules that reach themselves through their declarations."""
    def reaches(start):
        seen, todo = set(), list(graph[start])
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += graph.get(name, [])
        return start in seen
    return [name for name in graph if reaches(name)]


def read(*folders, suffixes=(".c",)):
    return {p: (ROOT / p).read_text() for p in files(ROOT, *suffixes) if p.parts[0] in folders}


def rows():
    sources = read("lib", "cli")
    internal = read("lib", "cli", suffixes=(".h",))
    public = read("include", suffixes=(".h",))
    tests = read("tests", suffixes=(".c", ".h"))
    functions = [Function(m) for t in sources.values() for m in FUNCTION.finditer(without_comments(t))]
    text = [*sources.values(), *internal.values(), *public.values()]
    lines = [t.count("\n") for t in sources.values()]
    code = sum(map(code_lines, text))
    comments = sum(max(0, len([1 for line in t.splitlines() if line.strip()]) - code_lines(t)) for t in text)
    declared = sum(len(PROTOTYPE.findall(without_comments(t))) for t in public.values())
    bare = sum(len(list(undocumented(t))) for t in public.values())
    library = [without_comments(t) for p, t in sources.items() if p.parts[0] == "lib"]
    exits = sum(len(re.findall(r"\b(?:exit|abort|_exit)\(", t)) for t in library)
    unprefixed = [m.group(2) for t in library for m in FUNCTION.finditer(t)
                  if not re.match(r"static\b", m.group(1)) and not m.group(2).startswith("vh_")]
    graph = modules.libraries(ROOT)
    facts = sum(len(re.findall(r"\bcmocka_unit_test\w*\(", t)) for t in tests.values())
    yield ".c files / internal .h", f"{len(sources)} / {len(internal)}", "-"
    yield "code lines", f"{code}", "-"
    yield "lines per .c: median / p95 / max", spread(lines), "170 / 631 / 1235"
    yield "share of code in .c over 1000 lines", share(sum(n for n in lines if n > 1000), sum(lines)), "14%"
    yield "functions", f"{len(functions)}", "-"
    yield "lines per function: median / p95 / max", spread([f.lines for f in functions]), "10 / 65 / 207"
    yield "functions over 60 lines", share(sum(f.lines > 60 for f in functions), len(functions)), "5.7%"
    yield "decision points: median / p95 / max", spread([f.decisions for f in functions]), "2 / 10 / 59"
    yield "brace nesting: median / p95 / max", spread([f.nesting for f in functions]), "- / 3 / 5"
    yield "parameters: median / p95 / max", spread([f.parameters for f in functions]), "1 / 3 / -"
    yield "comment lines per line", share(comments, code + comments), "38%"
    yield "public prototypes with a comment", share(declared - bare, declared), "100%"
    yield "non-static library functions without vh_", f"{len(unprefixed)}", "0%"
    yield "exit and abort calls in the library", f"{exits}", "3"
    yield "gotos per 1000 functions", f"{1000 * sum(f.gotos for f in functions) / max(1, len(functions)):.0f}", "72"
    yield "modules in a cycle", f"{len(cycles(graph))} of {len(graph)}", "2%"
    yield "test : code (code lines)", f"{sum(map(code_lines, tests.values())) / max(1, code):.2f}", "0.90"
    yield "unit tests", f"{facts}", "531"
    yield "fuzz targets", f"{len([p for p in tests if p.name.startswith('fuzz_')])}", "10"
    yield "longest line", f"{max((len(line) for t in text for line in t.splitlines()), default=0)}", "-"


def main():
    print(f"{'':44}{'here':>18}{'best of six':>20}")
    for name, here, best in rows():
        print(f"{name:44}{here:>18}{best:>20}")


if __name__ == "__main__":
    main()
