"""layering.py [ROOT]: every #include under lib/ and cli/ is covered by a declaration.

A module includes headers of the modules in its DEPS and its own, by bare name; *_priv.h stays in its folder; nothing
reaches through "../". cli/ctl and cli/bench are built on cli/common and public headers alone.
"""
import re
import sys
from pathlib import Path

from guard import ROOT, files, finish
import modules

PUBLIC_ONLY = {"common", "ctl", "bench"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


class Layering:
    def __init__(self, root):
        self.root = root
        self.deps = modules.libraries(root)
        self.links = modules.programs(root)
        self.homes = {}  # header name -> module folders under lib/ that have one of that name
        for path in files(root, ".h"):
            if path.parts[0] == "lib":
                self.homes.setdefault(path.name, []).append(path.parts[1])

    def allowed(self, layer, folder):
        if layer == "lib":
            return {folder, *self.deps.get(folder, [])}
        return set(self.links.get(folder, []))

    def public_home(self, header):
        """Module of a public header; what has no module of its name belongs to base."""
        name = header.split("/")[1].removesuffix(".h")
        return name if (self.root / "lib" / name).is_dir() else "base"

    def check(self, path, bracket, header):
        layer, folder = path.parts[0], path.parts[1]
        public = layer == "cli" and folder in PUBLIC_ONLY
        if ".." in Path(header).parts:
            return "leave out the ../ and declare the module instead"
        if header.startswith("vhive/"):
            home = self.public_home(header)
            if layer == "lib" and home not in self.allowed(layer, folder):
                return f"public header of {home}, which lib/{folder}/CMakeLists.txt does not declare in DEPS"
            return None
        if bracket == "<" or (self.root / path.parent / header).is_file():
            return None
        homes = self.homes.get(header, [])
        if layer == "lib" and folder in homes:
            return None
        common = public or "cli" in self.allowed(layer, folder)  # its module
        if common and (self.root / "cli/common" / header).is_file():
            return None
        if header.endswith("_priv.h"):
            return f"private to {'/'.join(homes) or 'another folder'}"
        if public:
            return f"cli/{folder} uses public headers only"
        if homes and not set(homes) & self.allowed(layer, folder):
            return f"header of {'/'.join(homes)}, which {layer}/{folder}/CMakeLists.txt does not declare"
        if not homes and not header.endswith(".pb-c.h"):  # protobuf-c makes those in the build folder
            return "no such header in the tree; system headers go in <>"
        return None

    def problems(self):
        for name, homes in sorted(self.homes.items()):
            if len(homes) > 1:
                yield f"{name}: in {' and '.join(homes)}; bare names must be unique"
        sources = [p for p in files(self.root, ".c", ".h") if p.parts[0] in ("lib", "cli") and len(p.parts) > 2]
        undeclared = {p.parts[1] for p in sources if p.parts[0] == "lib"} - set(self.deps)
        yield from (f"lib/{folder}: no vhive_module() declares it" for folder in sorted(undeclared))
        for path in sources:
            if path.parts[0] == "lib" and path.parts[1] in undeclared:
                continue
            source = (self.root / path).read_text()
            for match in INCLUDE.finditer(source):
                fault = self.check(path, *match.groups())
                if fault:
                    line = source.count("\n", 0, match.start()) + 1
                    yield f'{path}:{line}: includes {match.group(2)}: {fault}'


def main():
    layering = Layering(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
    finish(list(layering.problems()), f"{len(layering.deps)} modules keep to their declarations")


if __name__ == "__main__":
    main()
