"""headers_standalone.py CC CXX: each public header compiles alone, twice over, as C17 and as C++17, without warnings."""
import subprocess
import sys

from guard import ROOT, files, finish


def compile_alone(command, header):
    source = f"#include <{header}>\n" * 2 + "typedef int not_empty;\n"
    flags = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I", str(ROOT / "include"), "-"]
    run = subprocess.run(command + flags, input=source, capture_output=True, text=True, check=False)
    return "" if run.returncode == 0 else f"{header} ({command[-2]}): {run.stderr.strip()}"


def main():
    cc, cxx = sys.argv[1:3]
    headers = [str(p.relative_to("include")) for p in files(ROOT, ".h") if p.parts[0] == "include"]
    commands = [[cc, "-std=c17", "-xc"], [cxx, "-std=c++17", "-xc++"]]
    results = [compile_alone(command, header) for header in headers for command in commands]
    finish([r for r in results if r], f"{len(headers)} headers stand alone")


if __name__ == "__main__":
    main()
