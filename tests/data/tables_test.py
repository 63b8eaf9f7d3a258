#!/usr/bin/env python3
"""Parquet and typed CSV train like the same numbers as plain CSV; what is wrong with them is said."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv/bin/python"
SHOAL = pathlib.Path(os.environ.get("SHOAL", ROOT / "build/bin/shoal")).resolve()
MODULE = next(SHOAL.parents[1].glob("lib*/**/shoal_arrow.so"), None)

# What pyarrow writes; `folder` is the first argument.
WRITE = """
import sys
import pyarrow as pa, pyarrow.csv as csv, pyarrow.parquet as pq
folder = sys.argv[1]
rows = 120
y = [i % 3 for i in range(rows)]
a = [(i * 37 % 101) / 50 + y[i] for i in range(rows)]
b = [i * 13 % 7 - y[i] for i in range(rows)]
town = ["Aach" if i % 4 else "Ulm" for i in range(rows)]
name = [["red", "green", "blue"][i] for i in y]
numbers = pa.table({"a": a, "b": pa.array(b, pa.int16()), "y": pa.array(y, pa.int64())})
pq.write_table(numbers, f"{folder}/numbers.parquet", row_group_size=32)
pq.write_table(numbers, f"{folder}/packed.parquet", row_group_size=50, compression="zstd")
csv.write_csv(numbers, f"{folder}/numbers.csv")
town_as_numbers = {"Aach": [int(t == "Aach") for t in town], "Ulm": [int(t == "Ulm") for t in town]}
csv.write_csv(pa.table({"a": a, **town_as_numbers, "y": y}), f"{folder}/categories.csv")
text = pa.table({"a": pa.array(a, pa.float64()), "town": pa.array(town).dictionary_encode(), "y": y})
pq.write_table(text, f"{folder}/text.parquet", row_group_size=50)
csv.write_csv(pa.table({"a": a, "town": town, "y": y}), f"{folder}/text.csv")
pq.write_table(pa.table({"a": a, "b": b, "name": name}), f"{folder}/names.parquet")
kinds = pa.table({"half": pa.array([float(i % 5) for i in range(rows)], pa.float16()),
                  "flag": [i % 2 == 0 for i in range(rows)],
                  "list": [[i] for i in range(rows)], "y": y})
pq.write_table(kinds, f"{folder}/kinds.parquet")
pq.write_table(pa.table({"a": [1.0, None] * 60, "y": y}), f"{folder}/absent.parquet",
               row_group_size=7)
"""


def have_pyarrow():
    return PYTHON.exists() and not subprocess.run(
        [PYTHON, "-c", "import pyarrow"], capture_output=True, check=False).returncode


class Tables(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="shoal-tables-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        subprocess.run([PYTHON, "-c", WRITE, cls.folder], check=True, timeout=120)

    def job(self, file, **data):
        name = "parquet" if file.endswith(".parquet") else "typed-csv"
        lines = {"name": name, "path": str(self.folder / file), "test": 20, **data}
        text = "seed = 4\n[model]\nlayers = [{linear = 3}]\n[data]\n"
        text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items())
        text += '[train]\nsteps = 12\nbatch = 16\nlr = 0.1\nprecision = "fp64"\n'
        path = self.folder / "job.toml"
        path.write_text(text)
        return path

    def run_shoal(self, file, *words, shoal=SHOAL, **data):
        return subprocess.run([shoal, "train", self.job(file, **data), "--quiet", *words],
                              capture_output=True, text=True, check=False, timeout=200)

    def losses(self, file, workers=1, **data):
        report = self.folder / "report.json"
        done = self.run_shoal(file, "-n", str(workers), "--report", report, **data)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(report.read_text())["loss"]

    def assert_same(self, found, expected):
        self.assertEqual(len(found), len(expected))
        for a, b in zip(found, expected):
            self.assertLess(abs(a - b), 1e-9 * abs(b))

    def refused(self, file, words, named=None, **data):
        done = self.run_shoal(file, **data)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertIn(named or file, done.stderr)

    def test_parquet_trains_like_csv(self):
        expected = self.losses("numbers.csv", name="csv")
        self.assert_same(self.losses("numbers.parquet"), expected)
        self.assert_same(self.losses("packed.parquet", workers=3), expected)
        self.assert_same(self.losses("numbers.csv"), expected)

    def test_text_becomes_categories(self):
        expected = self.losses("categories.csv", name="csv")
        self.assert_same(self.losses("text.parquet", text="categories"), expected)
        self.assert_same(self.losses("text.csv", text="categories"), expected)
        self.refused("text.parquet", "expected numbers in the column 'town'")
        self.refused("text.csv", "found string")

    def test_text_labels_are_classes(self):
        # blue, green, red are 0, 1, 2.
        self.assertLess(self.losses("names.parquet")[-1], 1.1)
        self.refused("names.parquet", "expected numbers in the column 'name' of the label",
                     task="regression")

    def test_numbers_of_every_kind_and_lists(self):
        self.losses("kinds.parquet", columns=["half", "flag"])
        self.refused("kinds.parquet", "in the column 'list', found list<")

    def test_a_test_table_has_the_columns_of_the_training_table(self):
        self.losses("numbers.parquet", test_path=str(self.folder / "packed.parquet"))
        self.refused("numbers.parquet", "the column 'b' of numbers as in the training table, found",
                     named="text.parquet", test_path=str(self.folder / "text.parquet"))

    def test_refuses_absent_values_with_their_row(self):
        self.refused("absent.parquet", "row 1 (from 0): expected a value in the column 'a'")

    def test_refuses_files_that_are_none(self):
        whole = (self.folder / "numbers.parquet").read_bytes()
        for name, content in {"empty": b"", "words": b"a,b\n1,2\n", "cut": whole[:-9],
                              "magic": b"PAR2" + whole[4:-4] + b"PAR2",
                              "footer": whole[:-8] + b"\xff\xff\xff\x7fPAR1"}.items():
            (self.folder / f"{name}.parquet").write_bytes(content)
            self.refused(f"{name}.parquet", "Arrow cannot read it: ")
        damaged = bytearray(whole)
        for i in range(4, 200):
            damaged[i] ^= 0x5A
        (self.folder / "damaged.parquet").write_bytes(damaged)
        self.refused("damaged.parquet", "damaged.parquet: ")
        (self.folder / "ragged.csv").write_text("a,y\n1,0\n1,2,3\n")
        self.refused("ragged.csv", "Arrow cannot read it: ")
        self.refused("gone.parquet", "No such file")

    def test_says_what_to_install_where_the_module_is_missing(self):
        alone = self.folder / "alone"
        shutil.copy(SHOAL, alone)
        done = self.run_shoal("numbers.parquet", shoal=alone)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("pip install pyarrow", done.stderr)


if __name__ == "__main__":
    if MODULE is None or not have_pyarrow():
        print("skipped: shoal_arrow.so or pyarrow is missing: run `pip install pyarrow==26.0.1`")
        sys.exit(77)
    unittest.main()
