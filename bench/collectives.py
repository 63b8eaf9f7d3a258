#!/usr/bin/env python3
"""shoal's collectives on one host beside PyTorch's Gloo and MPIs, interleaved in one run.

usage: bench/collectives.py [-n 2] [--operations all_reduce,...] [--from 4] [--to 268435456]
                            [--repetitions 5] [--json FILE]

Contenders, each once in every repetition:
  shared    shoal comm bench --buffers shared      ordinary  shoal comm bench
  plugin    PyTorch's collectives on shoal         gloo      PyTorch's on Gloo
  openmpi, mpich   those of them that shoal comm bench --against can run, at the fastest of its settings
All time alike: buffers written anew, a meeting, the slowest rank of each call; medians of 5 to 400
calls. A figure is the median of the repetitions, with the smallest and largest beside it. Virtual
cores move: what was measured near (they share a cache) and far is reported apart, and a repetition
in which they moved is done again.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHOAL = os.environ.get("SHOAL", str(ROOT / "build/bin/shoal"))
PYTHON = str(ROOT / ".venv/bin/python")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
               "PYTHONPATH": str(ROOT / "build/python")}
OPERATIONS = ("all_reduce", "all_gather", "reduce_scatter", "broadcast", "all_to_all")


def run(command):
    done = subprocess.run([str(word) for word in command], env=ENVIRONMENT, text=True,
                          capture_output=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stderr[-800:]}")
    return done.stdout


def rows(text):
    """{bytes: seconds} of a peer's lines."""
    return {int(line.split()[0]): float(line.split()[1]) for line in text.splitlines()}


class Bench:
    def __init__(self, options, folder):
        self.options = options
        self.folder = pathlib.Path(folder)
        engines = self.folder / "engines.json"
        run([SHOAL, "comm", "engines", "--json", engines])
        found = json.loads(engines.read_text())
        self.mpis = [mpi for mpi in ("openmpi", "mpich") if found[mpi]["cpu"]["all_reduce"] == "yes"]

    def distance(self):
        """How far apart the cores are, as shoal comm bench says it."""
        file = self.folder / "probe.json"
        run([SHOAL, "comm", "bench", "--to", 4, "--repetitions", 1, "--json", file])
        ping = json.loads(file.read_text())["machine_after"]["ping_seconds"]
        return "one core" if ping is None else "near" if ping < 100e-9 else "far" if ping > 150e-9 else "between"

    def shoal(self, operation, buffers, distance, against=()):
        """{contender: {bytes: seconds}}; None when beside MPIs the cores were never at that distance."""
        file = self.folder / "shoal.json"
        run([SHOAL, "comm", "bench", "-n", self.options.n, "--operation", operation, "--buffers",
             buffers, "--from", self.options.first, "--to", self.options.last, "--repetitions", 1,
             "--json", file, *(["--against", ",".join(against)] if against else [])])
        figures = json.loads(file.read_text())
        if against:  # which measures again until the cores are near
            found = next((each["contenders"] for each in figures["apart"] if each["distance"] == distance), None)
            if found is None:
                return None
            found[buffers] = found.pop("shoal")
        else:
            found = {buffers: figures["sizes"]}
        return {name: dict(zip(self.sizes(operation), [row["median_seconds"] for row in table], strict=True))
                for name, table in found.items()}

    def sizes(self, operation):
        """shoal rounds up to whole numbers for all ranks: what becomes the same is measured once."""
        in_parts = operation in ("all_gather", "reduce_scatter", "all_to_all")
        sizes, unit = {}, 4 * (self.options.n if in_parts else 1)
        size = self.options.first
        while size <= self.options.last:
            sizes.setdefault(-(-size // unit), size)
            size *= 4
        return list(sizes.values())

    def torch(self, operation, backend):
        return rows(run([PYTHON, ROOT / "bench/peers/torch_collectives.py", backend, operation,
                         self.options.n, self.options.first, self.options.last]))

    def contenders(self, operation, distance):
        """{contender: {bytes: seconds}}; None when not all were at that distance."""
        ordinary = self.shoal(operation, "ordinary", distance, self.mpis)
        if ordinary is None:
            return None
        return (self.shoal(operation, "shared", distance) | ordinary
                | {"plugin": self.torch(operation, "shoal"), "gloo": self.torch(operation, "gloo")})

    def measure(self, operation):
        """{distance: {contender: {bytes: [seconds of each repetition]}}}"""
        classes, done, tries = {}, 0, 4 * self.options.repetitions
        while done < self.options.repetitions and tries > 0:
            tries -= 1
            before = self.distance()
            found = self.contenders(operation, before)
            if found is None or self.distance() != before:
                continue  # the cores moved apart or together meanwhile
            figures = classes.setdefault(before, {name: {} for name in found})
            for name, times in found.items():
                for size, seconds in times.items():
                    figures[name].setdefault(size, []).append(seconds)
            done = max(len(next(iter(f["gloo"].values()))) for f in classes.values())
        return classes


def text(seconds):
    for limit, unit, scale in ((1e-6, "ns", 1e9), (1e-3, "us", 1e6), (1, "ms", 1e3)):
        if seconds < limit:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds:.3g} s"


def size_text(size):
    for unit in ("B", "KiB", "MiB"):
        if size < 1024 or unit == "MiB":
            return f"{size} {unit}"
        size //= 1024


def show(operation, distance, figures):
    names = list(figures)
    ratios = [("gloo", "shared"), ("gloo", "plugin")]
    ratios += [(mpi, own) for mpi in ("openmpi", "mpich") if mpi in figures for own in ("shared", "ordinary")]
    repetitions = len(next(iter(figures["gloo"].values())))
    print(f"\n{operation}, {distance}, {repetitions} repetitions")
    print(f"{'size':>9}" + "".join(f"{name:>28}" for name in names)
          + "".join(f"{f'{peer}/{own}':>18}" for peer, own in ratios))
    for size in sorted(figures["shared"]):
        median = {name: statistics.median(figures[name][size]) for name in names}
        line = f"{size_text(size):>9}"
        for name in names:
            times = figures[name][size]
            line += f"{f'{text(median[name])} ({text(min(times))} - {text(max(times))})':>28}"
        line += "".join(f"{median[peer] / median[own]:>18.2f}" for peer, own in ratios)
        print(line, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=2)
    parser.add_argument("--operations", default=",".join(OPERATIONS))
    parser.add_argument("--from", dest="first", type=int, default=4)
    parser.add_argument("--to", dest="last", type=int, default=256 << 20)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, folder)
        if not bench.mpis:
            print("measured without an MPI: shoal comm engines says why")
        results = {}
        for operation in options.operations.split(","):
            results[operation] = bench.measure(operation)
            for distance, figures in results[operation].items():
                show(operation, distance, figures)
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
