#!/usr/bin/env python3
"""predict --input FILE says of the test part's files what predict says of the test part itself."""
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHOAL = pathlib.Path(os.environ.get("SHOAL", ROOT / "build/bin/shoal")).resolve()
PYTHON = ROOT / ".venv/bin/python"
MODULE = next(SHOAL.parents[1].glob("lib*/**/shoal_arrow.so"), None)
choose = random.Random(3)


def npy(values, shape, kind):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    code = {"|u1": "B", "<f4": "f", "<i8": "q"}[kind]
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
            + struct.pack(f"<{len(values)}{code}", *values))


def png(width, height):
    def part(name, content):
        return (struct.pack(">I", len(content)) + name + content
                + struct.pack(">I", zlib.crc32(name + content)))
    rows = b"".join(b"\0" + choose.randbytes(3 * width) for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b""))


class Inputs(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="shoal-inputs-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def shoal(self, *words, expect=0):
        done = subprocess.run([SHOAL, *words], cwd=self.folder, capture_output=True, text=True,
                              check=False, timeout=200)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done

    def train(self, data, outputs=3):
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in data.items())
        self.write("job.toml", f'seed = 4\n[model]\nlayers = ["flatten", {{linear = {outputs}}}]\n'
                   f'[data]\n{lines}[train]\nsteps = 3\nbatch = 4\nlr = 0.1\nevaluate = false\n'
                   '[checkpoint]\npath = "run"\n')
        self.shoal("train", "job.toml", "--quiet")

    def predictions(self, *words):
        self.shoal("predict", "run/step-00000003", "job.toml", "-o", "out.csv", *words)
        return (self.folder / "out.csv").read_text()

    def assert_same(self, *files, workers="1"):
        words = [word for file in files for word in ("--input", file)]
        self.assertEqual(self.predictions(*words, "-n", workers), self.predictions())

    def refused(self, file, words):
        done = self.shoal("predict", "run/step-00000003", "job.toml", "-o", "refused.csv",
                          "--input", file, expect=2)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertIn(file, done.stderr)
        self.assertFalse((self.folder / "refused.csv").exists())

    def test_numpy_arrays(self):
        values = [choose.randrange(256) for _ in range(20 * 12)]
        for name, kind, some in (("x", "|u1", values[:144]), ("t", "|u1", values[144:])):
            self.write(f"{name}.npy", npy(some, f"({len(some) // 12}, 3, 2, 2)", kind))
        self.write("y.npy", npy([i % 3 for i in range(12)], "(12,)", "<i8"))
        self.write("z.npy", npy([i % 3 for i in range(8)], "(8,)", "<i8"))
        self.train({"name": "npy", "path": "x.npy", "labels_path": "y.npy", "test_path": "t.npy",
                    "test_labels_path": "z.npy"})
        self.assert_same("t.npy", workers="2")
        self.write("one.npy", npy(values[144:156], "(1, 3, 2, 2)", "|u1"))
        self.write("rest.npy", npy(values[156:], "(7, 3, 2, 2)", "|u1"))
        self.assert_same("one.npy", "rest.npy")
        self.write("flat.npy", npy(values[:24], "(2, 12)", "|u1"))
        self.refused("flat.npy", "expected samples of 3x2x2 as the model takes, found 12")
        self.write("float.npy", npy([v / 255 for v in values[:12]], "(1, 3, 2, 2)", "<f4"))
        self.refused("float.npy", "expected bytes (uint8) as in the training files")
        self.write("cut.npy", (self.folder / "t.npy").read_bytes()[:-3])
        self.refused("cut.npy", "NPY values")
        self.refused("gone.npy", "cannot")

    def test_pictures(self):
        for part, count in (("train", 6), ("test", 3)):
            for kind in ("bird", "cat", "dog"):
                for i in range(count):
                    self.write(f"pics/{part}/{kind}/{i}.png", png(6 + i, 9 - i))
        self.train({"name": "image-folder", "path": "pics", "resize": 6, "crop": 5})
        self.assert_same("pics/test", workers="2")
        self.assert_same("pics/test/bird", "pics/test/cat", "pics/test/dog")
        self.assert_same(*(f"pics/test/{kind}/{i}.png" for kind in ("bird", "cat", "dog")
                           for i in range(3)))
        self.write("bad/a.png", png(6, 6)[:-20])
        self.refused("bad", "the PNG does not decode: it is cut short")
        self.write("words.txt", "no picture")
        self.refused("words.txt", "expected a JPEG")
        self.refused("gone.png", "there is no such file")

    def test_tables(self):
        if MODULE is None or not PYTHON.exists():
            self.skipTest("shoal_arrow.so or .venv is missing: run `pip install pyarrow==26.0.1`")
        rows = [(choose.random(), ("Aach", "Ulm", "Bonn")[i % 3], i % 2 == 0,
                 ("red", "blue")[i % 2]) for i in range(30)]
        header = ("size", "town", "new", "kind")

        def table(rows, columns):
            at = [header.index(name) for name in columns]
            lines = [[str(row[i]) for i in at] for row in rows]
            return "".join(",".join(line) + "\n" for line in [list(columns), *lines])

        self.write("train.csv", table(rows[:20], header))
        self.write("test.csv", table(rows[20:], header))
        self.write("inputs.csv", table(rows[20:], ("new", "town", "size")))
        self.write("short.csv", table(rows[20:], ("new", "size")))
        self.write("other.csv", table([(0.5, "Rom", True, "")], ("new", "town", "size")))
        subprocess.run([PYTHON, "-c", """
import pyarrow.csv, pyarrow.parquet
for name in ("train", "test", "inputs", "short", "other"):
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(name + ".csv"), name + ".parquet", row_group_size=4)
"""], cwd=self.folder, check=True, timeout=120)
        for name, end in (("typed-csv", "csv"), ("parquet", "parquet")):
            self.train({"name": name, "path": f"train.{end}", "test_path": f"test.{end}",
                        "text": "categories"}, outputs=2)
            self.assert_same(f"inputs.{end}", workers="2")
            self.assert_same(f"test.{end}")
            self.refused(f"short.{end}", "expected the column 'town' of text as in the training")
            self.refused(f"other.{end}", "expected a text that the training table has")
            self.refused(f"gone.{end}", "No such file")
            shutil.rmtree(self.folder / "run")

    def test_cifar(self):
        def records(count, label=None):
            return b"".join(bytes([choose.randrange(10) if label is None else label])
                            + choose.randbytes(3072) for _ in range(count))
        self.write("cifar/data_batch_1.bin", records(12))
        test = records(5)
        self.write("cifar/test_batch.bin", test)
        self.train({"name": "cifar-10", "path": "cifar"}, outputs=10)
        self.write("inputs.bin", b"".join(b"\0" + test[i + 1:i + 3073]
                                          for i in range(0, len(test), 3073)))
        self.assert_same("inputs.bin", workers="2")
        self.write("cut.bin", test[:-1])
        self.refused("cut.bin", "expected a whole number of CIFAR-10 records")


if __name__ == "__main__":
    unittest.main()
