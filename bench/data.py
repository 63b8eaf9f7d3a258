#!/usr/bin/env python3
"""shoal's pictures and tables beside a plain loop, PyTorch's DataLoader and Arrow, in turn.

usage: bench/data.py [--repetitions 5] [--pictures 2000] [--sides 32,256] [--rows 1000000] [--folder FOLDER]
                     [--peers pil,cv2] [--only pictures|tables] [--json FILE]

Pictures, in folders of classes, JPEG of quality 90 that the bench makes (smooth, with a little noise); --folder
takes a folder of your own instead (FOLDER/CLASS/FILE, all of one size). For 1 and 2 threads:
  loop      libjpeg-turbo in as many threads: reads and decodes each file, and does no more with it
  floor     the loop, which then fills as much memory as the picture's floats take in a batch
  shoal     data.name = "image-folder", data.threads threads: normalised float32, channels first, in batches of 64
  pil, cv2  PyTorch's DataLoader with 2 workers, to the same floats (Pillow and OpenCV in a folder of their own)
Tables: a Parquet and a CSV file of 10 columns (4 float64, 2 float32, 4 integers), one thread, no normalising:
  arrow     pyarrow's read_table and read_csv without threads, to Arrow's table
  rows      no file: as many doubles of columns written as float32 of rows, and those copied to batches
  floor     arrow and then rows
  shoal     from opening the file to the last of its batches of 1,024 rows of float32
A table is read once, as by a job, in a process that has read a small one before.
Each figure is the median of the repetitions with the smallest and largest beside it; files are in the system's
cache. Ratios are those of pairs of one repetition, on the clock and, where both sides can tell, by processor time.
"""
import argparse
import json
import os
import pathlib
import statistics as st
import subprocess
import sys
import tempfile
import time

from training import probe

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCH = ROOT / "build/bin/data_bench"
PYTHON = ROOT / ".venv/bin/python"
PEER = ROOT / "bench/peers/torch_pictures.py"
PACKAGES = {"pil": "pillow==13.0.0", "cv2": "opencv-python-headless==4.13.0.92"}
GOALS = [("shoal", "loop", 0.95), ("shoal", "floor", 0.95), ("shoal", "pil", 2), ("shoal", "cv2", 2)]
TABLE_GOALS = [("shoal", "arrow", 0.9), ("shoal", "floor", 0.9)]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

MAKE_TABLES = """
import sys
import numpy, pyarrow, pyarrow.csv, pyarrow.parquet
folder, rows = sys.argv[1], int(sys.argv[2])
random = numpy.random.default_rng(1)
columns = {f"d{i}": random.normal(size=rows).round(6) for i in range(3)}
columns |= {f"f{i}": random.normal(size=rows).astype(numpy.float32) for i in range(2)}
columns |= {f"i{i}": random.integers(0, 10 ** (i + 1), rows, dtype=numpy.int32) for i in range(2)}
columns |= {f"l{i}": random.integers(0, 10 ** (3 * i + 3), rows) for i in range(2)}
columns["y"] = random.normal(size=rows).round(6)
table = pyarrow.table(columns)
for name, part in (("table", table), ("small", table.slice(0, 1000))):
    pyarrow.parquet.write_table(part, f"{folder}/{name}.parquet")
    pyarrow.csv.write_csv(part, f"{folder}/{name}.csv")
print(table.num_columns)
"""
READ_TABLE = """
import json, sys, time
import pyarrow, pyarrow.csv, pyarrow.parquet
pyarrow.set_cpu_count(1)
def read(path):
    if path.endswith(".parquet"):
        return pyarrow.parquet.ParquetFile(path).read(use_threads=False)
    return pyarrow.csv.read_csv(path, read_options=pyarrow.csv.ReadOptions(use_threads=False),
                                parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True))
small, path = sys.argv[1:]
read(small)
open(path, "rb").read()
start, cpu = time.perf_counter(), time.process_time()
rows = read(path).num_rows
print(json.dumps({"samples_per_second": rows / (time.perf_counter() - start),
                  "per_core_second": rows / (time.process_time() - cpu)}))
"""


def run(command, environment=None):
    done = subprocess.run([str(word) for word in command], env=environment or ENVIRONMENT,
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-1500:]}")
    return done.stdout


def measure(commands, repetitions):
    """name -> one figure a repetition; the commands in turn."""
    found = {name: [] for name in commands}
    for _ in range(repetitions):
        for name, (command, environment) in commands.items():
            found[name].append(json.loads(run(command, environment).splitlines()[-1]))
    return found


def show(title, found, pairs):
    """`pairs`: (of, to, goal): what the goals are stated for."""
    print(f"\n{title}")
    for name, figures in found.items():
        rates = [figure["samples_per_second"] for figure in figures]
        cores = [figure["per_core_second"] for figure in figures if "per_core_second" in figure]
        beside = f"  {st.median(cores):12.0f} a second of a core" if cores else ""
        print(f"  {name:<10}{st.median(rates):12.0f} samples/s ({min(rates):.0f} to {max(rates):.0f}){beside}")
    ratios = {}
    for of, to, goal in pairs:
        if of not in found or to not in found:
            continue
        for key, words in (("samples_per_second", "clock"), ("per_core_second", "processor time")):
            if key not in found[to][0]:
                continue
            values = [a[key] / b[key] for a, b in zip(found[of], found[to])]
            ratios[f"{of} / {to}, {words}"] = values
            print(f"  {of} / {to}, {words}: {st.median(values):.3f} "
                  f"({min(values):.3f} to {max(values):.3f}); goal {goal}")
    return ratios


def install(peers, folder):
    """Peers that can be used, with the environment that finds their packages."""
    usable = {}
    for peer in peers:
        target = pathlib.Path(folder) / f"packages-{peer}"
        done = subprocess.run([PYTHON, "-m", "pip", "install", "-q", "--no-deps", "--target", target,
                               "--disable-pip-version-check", PACKAGES[peer]],
                              capture_output=True, text=True)
        if done.returncode == 0:
            usable[peer] = {**ENVIRONMENT, "PYTHONPATH": str(target)}
        else:
            print(f"skipped: {peer}: {PACKAGES[peer]} cannot be installed: {done.stderr.strip()[-200:]}")
    return usable


def pictures(arguments, folder):
    sets = {}
    if arguments.folder:
        sets[arguments.folder] = arguments.folder
    else:
        for side in arguments.sides.split(","):
            sets[f"{arguments.pictures} pictures of {side}x{side}"] = made = f"{folder}/{side}"
            run([BENCH, "write", made, arguments.pictures, side])
    peers = install([p for p in arguments.peers.split(",") if p], folder)
    results = {}
    for title, path in sets.items():
        for threads in (1, 2):
            commands = {"loop": ([BENCH, "loop", path, threads], None),
                        "floor": ([BENCH, "floor", path, threads], None),
                        "shoal": ([BENCH, "loader", path, threads], None)}
            if threads == 2:
                commands |= {peer: ([PYTHON, PEER, path, 2, peer], environment)
                             for peer, environment in peers.items()}
            name = f"{title}, {threads} thread{'s' * (threads > 1)}"
            found = measure(commands, arguments.repetitions)
            results[name] = {"figures": found, "ratios": show(name, found, GOALS)}
    return results


def tables(arguments, folder):
    columns = int(run([PYTHON, "-c", MAKE_TABLES, folder, arguments.rows]))
    results = {}
    for kind in ("parquet", "csv"):
        small, path = f"{folder}/small.{kind}", f"{folder}/table.{kind}"
        found = measure({"arrow": ([PYTHON, "-c", READ_TABLE, small, path], None),
                         "rows": ([BENCH, "rows", arguments.rows, columns], None),
                         "shoal": ([BENCH, "table", small, path], None)}, arguments.repetitions)
        found["floor"] = [{key: 1 / (1 / arrow[key] + 1 / rows[key]) for key in arrow}
                          for arrow, rows in zip(found["arrow"], found["rows"])]
        title = f"{kind}, {arguments.rows} rows, {os.path.getsize(path) / 1e6:.0f} MB"
        results[title] = {"figures": found, "ratios": show(title, found, TABLE_GOALS)}
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--sides", default="32,256")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder")
    parser.add_argument("--peers", default="pil,cv2")
    parser.add_argument("--only", choices=["pictures", "tables"])
    parser.add_argument("--json")
    arguments = parser.parse_args()
    if not BENCH.exists():
        sys.exit(f"{BENCH} is missing: run make bench")
    results = {"date": time.strftime("%Y-%m-%d"), "probe before": probe()}
    print("probe", results["probe before"])
    with tempfile.TemporaryDirectory() as folder:
        if arguments.only != "tables":
            results |= pictures(arguments, folder)
        if arguments.only != "pictures":
            results |= tables(arguments, folder)
    results["probe after"] = probe()
    print("\nprobe", results["probe after"])
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
