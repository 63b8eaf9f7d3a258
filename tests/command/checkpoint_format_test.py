#!/usr/bin/env python3
"""A checkpoint is read by what docs/checkpoints.md says of its format, with Python's standard library alone."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHOAL = pathlib.Path(os.environ.get("SHOAL", ROOT / "build/bin/shoal")).resolve()
JOB = """
seed = 3
[model]
layers = [{conv = 4, kernel = 3}, "batch_norm", "relu", "flatten", {linear = 3}]
[data]
name = "random"
shape = [2, 4, 4]
size = 64
classes = 3
[train]
steps = 4
batch = 16
optimizer = "adamw"
evaluate = false
[checkpoint]
path = "run"
every_steps = 2
"""
DTYPES = {"F32": "float32", "F64": "float64", "I64": "int64"}
TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def tensors_of(file):
    """name -> (type, shape, begin, end), places counted from the file's start."""
    content = file.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8:8 + length])
    header.pop("__metadata__", None)
    start = 8 + length
    assert start % 64 == 0
    return {name: (DTYPES[entry["dtype"]], entry["shape"], *(start + at for at in entry["data_offsets"]))
            for name, entry in header.items()}


def checked(folder):
    """The index of a checkpoint that keeps what the page says; an AssertionError otherwise."""
    index = json.loads((folder / "index.json").read_text())
    assert (index["format"], index["version"]) == ("shoal checkpoint", 1)
    bare = {key: value for key, value in index.items() if key != "crc32c"}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert crc32c(text.encode()) == index["crc32c"], "the index was altered"
    names = [part["name"] for part in index["slices"]]
    assert len(set(names)) == len(names)
    found = {file.name: tensors_of(file) for file in folder.glob("*.safetensors")}
    for part in index["slices"]:
        assert part["file"] == pathlib.PurePath(part["file"]).name
        assert part["box"] == [[0, size] for size in part["shape"]]
        assert found[part["file"]].pop(part["name"]) == (
            part["type"], part["shape"], part["begin"], part["end"])
        with (folder / part["file"]).open("rb") as file:
            file.seek(part["begin"])
            assert crc32c(file.read(part["end"] - part["begin"])) == part["crc32c"], part["name"]
    assert not any(found.values()), "a file has tensors that the index lacks"
    return index


class CheckpointFormat(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="shoal-format-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        (cls.folder / "job.toml").write_text(JOB)
        subprocess.run([SHOAL, "train", "job.toml", "-n", "2", "--quiet", "--report", "report.json"],
                       cwd=cls.folder, check=True, timeout=200)
        cls.checkpoint = cls.folder / "run/step-00000004"

    def test_is_what_the_page_says(self):
        index = checked(self.checkpoint)
        self.assertEqual((index["step"], index["ranks"]), (4, 2))
        self.assertEqual({part["role"] for part in index["slices"]}, {"parameter", "buffer", "optimizer"})
        self.assertEqual(len({part["file"] for part in index["slices"]}), 2)
        self.assertEqual(sorted(file.name for file in self.checkpoint.iterdir()),
                         ["index.json", "rank-0000.safetensors", "rank-0001.safetensors"])
        for state in (part["name"] for part in index["slices"] if part["role"] == "optimizer"):
            self.assertIn(state.split("#")[0], [p["name"] for p in index["slices"]])

    def test_has_the_weights_of_the_run(self):
        index = checked(self.checkpoint)
        digest = hashlib.sha256()
        for part in sorted(index["slices"], key=lambda part: part["name"]):
            if part["role"] == "parameter":
                content = (self.checkpoint / part["file"]).read_bytes()
                digest.update(content[part["begin"]:part["end"]])
        report = json.loads((self.folder / "report.json").read_text())
        self.assertEqual(digest.hexdigest(), report["weights_sha256"])

    def test_the_page_names_every_field(self):
        page = (ROOT / "docs/checkpoints.md").read_text()
        page = page[page.index("## Format"):]
        index = json.loads((self.checkpoint / "index.json").read_text())
        for field in {*index, *index["slices"][0], *index["facts"]}:
            self.assertRegex(page, rf"`{re.escape(field)}`")

    def test_what_a_reader_must_refuse_is_refused(self):
        def altered(change):
            copy = self.folder / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(self.checkpoint, copy)
            index = json.loads((copy / "index.json").read_text())
            change(copy, index)
            if index:
                (copy / "index.json").write_text(json.dumps(index))
            done = subprocess.run([SHOAL, "checkpoint", "export", copy, "-o", self.folder / "x.safetensors"],
                                  capture_output=True, text=True, check=False, timeout=100)
            self.assertEqual(done.returncode, 2, done.stderr)
            return done.stderr

        def of_index(**fields):
            return lambda copy, index: (index.update(fields), "step" in fields or index.pop("crc32c"))

        def of_slice(**fields):
            return lambda copy, index: (index["slices"][0].update(fields), index.pop("crc32c"))

        def without(name):
            return lambda copy, index: ((copy / name).unlink(), index.clear())

        def flip(copy, index):
            file = copy / index["slices"][0]["file"]
            content = bytearray(file.read_bytes())
            content[index["slices"][0]["begin"]] ^= 1
            file.write_bytes(content)

        for change, words in ((of_index(version=2), "version 2"), (of_index(format="x"), "is not the index"),
                              (of_index(step=5), "checksum differs"), (without("index.json"), "never completed"),
                              (without("rank-0001.safetensors"), "is missing"), (flip, "checksum differs"),
                              (of_slice(file="../x"), "no file beside it"), (of_slice(box=[[0, 1]]), "does not cover"),
                              (of_slice(begin=0), "otherwise than its index says")):
            self.assertIn(words, altered(change))


if __name__ == "__main__":
    unittest.main()
