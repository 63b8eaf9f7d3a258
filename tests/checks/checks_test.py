#!/usr/bin/env python3
"""The checks find what they are for, and accept what is good."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

import size

HERE = pathlib.Path(__file__).resolve().parent
ROWS = """
shoal_module(core NO_TORCH)
shoal_module(comm NO_TORCH USES core)
shoal_module(data NO_TORCH USES core)
shoal_module(tensor USES core comm)
"""


def run(check, files, rows=ROWS):
    """Exit code and output of a check over a project of these files."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {"CMakeLists.txt": rows, **files}.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        done = subprocess.run([sys.executable, HERE / check, folder], capture_output=True,
                              text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr


class Layering(unittest.TestCase):
    def refuses(self, name, text, words, rows=ROWS):
        code, output = run("layering.py", {name: text}, rows)
        self.assertEqual(code, 1, output)
        self.assertIn(words, output)

    def test_accepts_what_the_rows_allow(self):
        good = '#include <vector>\n#include "shoal/core/error.h"\n#include "shoal/comm/group.h"\n'
        files = {"shoal/comm/a.cc": good, "shoal/tensor/b.h": good + "#include <torch/torch.h>\n",
                 "shoal/comm/a_test.cc": '#include "tests/support/ranks.h"\n'}
        self.assertEqual(run("layering.py", files)[0], 0)

    def test_names_the_line_of_an_include_the_row_does_not_allow(self):
        self.refuses("shoal/data/a.cc", '#include <map>\n#include "shoal/comm/group.h"\n',
                     "shoal/data/a.cc:2: data includes shoal/comm/group.h")

    def test_holds_for_tests_and_headers_too(self):
        self.refuses("shoal/core/a_test.cc", '#include "shoal/comm/group.h"\n', "core includes")
        self.refuses("shoal/core/a.h", '#include "shoal/comm/group.h"\n', "core includes")

    def test_refuses_torch_where_there_is_none(self):
        for header in ("torch/torch.h", "ATen/ATen.h", "c10/util/Half.h"):
            self.refuses("shoal/comm/a.cc", f"#include <{header}>\n", "comm is NO_TORCH")

    def test_refuses_relative_includes_details_of_others_and_unknown_modules(self):
        self.refuses("shoal/core/a.cc", '#include "error.h"\n', "does not start at the root")
        self.refuses("shoal/comm/a.cc", '#include "shoal/core/detail/x.h"\n', "core alone")
        self.refuses("shoal/utils/a.cc", "", "utils has no row")

    def test_refuses_reading_the_environment_but_not_talking_about_it(self):
        self.refuses("shoal/core/a.cc", 'auto x = std::getenv("X");\n', "reads the environment")
        self.assertEqual(run("layering.py", {"shoal/core/a.cc": "// no getenv\n"})[0], 0)

    def test_refuses_rows_out_of_order(self):
        rows = "shoal_module(comm NO_TORCH USES core)\nshoal_module(core NO_TORCH)\n"
        self.refuses("shoal/core/a.cc", "", "no row above it", rows)


class Size(unittest.TestCase):
    def function(self, lines):
        return "int f(int a) {\n" + "  a++;\n" * (lines - 3) + "  return a;\n}\n"

    def test_limits_are_exact(self):
        self.assertEqual(run("size.py", {"shoal/core/a.cc": self.function(60)})[0], 0)
        code, output = run("size.py", {"shoal/core/a.cc": self.function(61)})
        self.assertEqual(code, 1)
        self.assertIn("shoal/core/a.cc:1: f has 61 lines", output)
        self.assertEqual(run("size.py", {"shoal/core/a.h": "\n" * 500})[0], 0)
        self.assertEqual(run("size.py", {"shoal/core/a.h": "\n" * 501})[0], 1)

    def test_finds_functions_in_namespaces_and_classes_and_not_in_strings(self):
        text = ('namespace a::b {\nstruct S : T<int> {\n  S(int x) : x_{x} {\n  }\n'
                '  int m() const { return R"(\n}{{ )"[0] + \'{\'; }\n};\n'
                'TEST(X, Y) {\n  auto l = [&](int i) { return i; };\n  if (l(1)) {\n  }\n}\n}\n')
        found = [(name, length) for name, _, length in size.functions_of_cpp(text)]
        self.assertIn(("m", 2), found)
        self.assertIn(("TEST", 5), found)

    def test_reads_python_too(self):
        text = "def f():\n" + "    x = 1\n" * 60
        self.assertEqual(run("size.py", {"tests/a.py": text})[0], 1)


if __name__ == "__main__":
    unittest.main()
