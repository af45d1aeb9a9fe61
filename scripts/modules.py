"""The module graph, read from the vhive_module() and vhive_link() lines of the CMake files."""
import re
from pathlib import Path


def _calls(path, function):
    """Arguments of each call of |function| in a CMake file, comments left out."""
    text = re.sub(r"#[^\n]*", "", path.read_text())
    return [m.split() for m in re.findall(rf"\b{function}\(([^)]*)\)", text)]


def libraries(root):
    """{module: [declared modules]} in the order of lib/CMakeLists.txt, lowest first."""
    graph = {}
    for (folder,) in _calls(Path(root) / "lib/CMakeLists.txt", "add_subdirectory"):
        for name, *args in _calls(Path(root) / "lib" / folder / "CMakeLists.txt", "vhive_module"):
            deps = []
            keyword = None
            for arg in args:
                if arg in ("DEPS", "SOURCES", "LIBS"):
                    keyword = arg
                elif keyword == "DEPS":
                    deps.append(arg)
            graph[name] = deps
    return graph


def programs(root):
    """{folder below cli/: [modules it links or uses]}."""
    found = {}
    for path in sorted(Path(root).glob("cli/*/CMakeLists.txt")):
        calls = _calls(path, "vhive_link") + _calls(path, "vhive_uses")
        found[path.parent.name] = sorted({module for call in calls for module in call[1:]})
    return found
