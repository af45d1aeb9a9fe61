"""The guards catch what they are for: each is run on a tree with one fault, and must name it."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).parent


class GuardsCatch(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.write("lib/CMakeLists.txt", "add_subdirectory(low)\nadd_subdirectory(other)\nadd_subdirectory(high)\n")
        self.write("lib/low/CMakeLists.txt", "vhive_module(low SOURCES low.c)")
        self.write("lib/low/low.h", "")
        self.write("lib/low/low_priv.h", "")
        self.write("lib/other/CMakeLists.txt", "vhive_module(other SOURCES other.c)")
        self.write("lib/other/other.h", "")
        self.write("lib/high/CMakeLists.txt", "vhive_module(high DEPS low SOURCES high.c)")
        self.write("lib/high/high.c", '#include "low.h"\n#include <vhive/low.h>\n#include <stdio.h>\n')

    def write(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def run_guard(self, name):
        run = subprocess.run([sys.executable, str(HERE / name), str(self.root)], capture_output=True, text=True,
                             check=False)
        return run.returncode, run.stdout

    def assert_caught(self, guard, *words):
        code, text = self.run_guard(guard)
        self.assertEqual(code, 1, text)
        for word in words:
            self.assertIn(word, text)

    def test_a_tree_that_keeps_to_its_declarations_passes(self):
        self.assertEqual(self.run_guard("layering.py")[0], 0)

    def test_an_undeclared_module_header_is_caught(self):
        self.write("lib/high/high.c", '\n#include "other.h"\n')
        self.assert_caught("layering.py", "lib/high/high.c:2", "other.h", "does not declare")

    def test_an_undeclared_public_header_is_caught(self):
        self.write("lib/high/high.c", "#include <vhive/other.h>\n")
        self.assert_caught("layering.py", "vhive/other.h")

    def test_a_private_header_of_another_module_is_caught(self):
        self.write("lib/high/high.c", '#include "low_priv.h"\n')
        self.assert_caught("layering.py", "private to low")

    def test_a_path_through_the_parent_folder_is_caught(self):
        self.write("lib/high/high.c", '#include "../low/low.h"\n')
        self.assert_caught("layering.py", "../")

    def test_a_command_on_internal_headers_is_caught(self):
        self.write("cli/ctl/CMakeLists.txt", "vhive_link(vhive-ctl low)")
        self.write("cli/ctl/main.c", '#include "low.h"\n')
        self.assert_caught("layering.py", "public headers only")

    def test_a_program_may_include_what_it_links(self):
        self.write("cli/shim/CMakeLists.txt", "vhive_link(vhive-shim low)")
        self.write("cli/shim/main.c", '#include "low.h"\n')
        self.assertEqual(self.run_guard("layering.py")[0], 0)

    def test_two_headers_of_one_name_are_caught(self):
        self.write("lib/other/low.h", "")
        self.assert_caught("layering.py", "must be unique")

    def test_a_prototype_without_a_comment_is_caught(self):
        self.write("include/vhive/low.h", "/** Documented. */\nVH_API int vh_low_a(void);\n\nint vh_low_b(int x);\n")
        self.assert_caught("documented.py", "low.h:4: vh_low_b()", "1 problems")

    def test_a_path_of_one_machine_is_caught(self):
        self.write("docs/a.md", "see " + "/wo" + "rk/someone/notes\n")
        self.assert_caught("portable.py", "docs/a.md:1")

    def test_the_symbol_guards_see_globals_and_bare_names(self):
        self.write("bad.c", "int bare_name(void);\nint bare_name(void) { static int count; return count++; }\n")
        archive, library = str(self.root / "bad.a"), str(self.root / "bad.so")
        for command in (["cc", "-fPIC", "-c", "-o", "bad.o", "bad.c"], ["ar", "rc", archive, "bad.o"],
                        ["cc", "-shared", "-o", library, "bad.o"]):
            subprocess.run(command, cwd=self.root, check=True)
        for guard, arguments in (("symbols.py", [library, archive]), ("no_globals.py", [archive])):
            run = subprocess.run([sys.executable, str(HERE / guard), *arguments], capture_output=True, text=True,
                                 check=False)
            self.assertEqual(run.returncode, 1, run.stdout)
        self.assertIn("count", run.stdout)

    def test_a_thread_that_takes_signals_is_caught(self):
        self.write("bad.c", "int pthread_create(void);\nint vh_bad(void);\nint vh_bad(void) { return pthread_create(); }\n")
        archive, library = str(self.root / "bad.a"), str(self.root / "bad.so")
        for command in (["cc", "-fPIC", "-fno-builtin", "-c", "-o", "bad.o", "bad.c"], ["ar", "rc", archive, "bad.o"],
                        ["cc", "-shared", "-o", library, "bad.o"]):
            subprocess.run(command, cwd=self.root, check=True)
        run = subprocess.run([sys.executable, str(HERE / "symbols.py"), library, archive], capture_output=True, text=True,
                             check=False)
        self.assertEqual(run.returncode, 1, run.stdout)
        self.assertIn("bad.o: starts a thread", run.stdout)


if __name__ == "__main__":
    unittest.main()
