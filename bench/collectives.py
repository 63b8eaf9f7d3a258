#!/usr/bin/env python3
"""shoal's collectives on one host beside PyTorch's Gloo and an MPI, interleaved in one run.

usage: bench/collectives.py [-n 2] [--operations all_reduce,...] [--from 4] [--to 268435456]
                            [--repetitions 5] [--json FILE]

Contenders, each once in every repetition:
  shared    shoal comm bench --buffers shared      ordinary  shoal comm bench
  plugin    PyTorch's collectives on shoal         gloo      PyTorch's on Gloo
  mpi       Open MPI with and without its single copies, whichever is faster; left out without mpicc
All time alike: buffers written anew, a meeting, the slowest rank of each call; medians of 5 to 400
calls. A figure is the median of the repetitions, with the smallest and largest beside it. Virtual
cores move: what was measured near (they share a cache) and far is reported apart, and a repetition
in which they moved is done again.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHOAL = os.environ.get("SHOAL", str(ROOT / "build/bin/shoal"))
PYTHON = str(ROOT / ".venv/bin/python")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
               "PYTHONPATH": str(ROOT / "build/python"), "OMPI_ALLOW_RUN_AS_ROOT": "1",
               "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
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
        self.mpi = None
        if shutil.which("mpicc") and shutil.which("mpirun"):
            self.mpi = self.folder / "mpi_collectives"
            run(["mpicc", "-O2", "-o", self.mpi, ROOT / "bench/peers/mpi_collectives.c"])

    def distance(self):
        """Whether the cores are near; None when there is one."""
        file = self.folder / "probe.json"
        run([SHOAL, "comm", "bench", "--to", 4, "--repetitions", 1, "--json", file])
        ping = json.loads(file.read_text())["machine_after"]["ping_seconds"]
        return None if ping is None else "near" if ping < 125e-9 else "far"

    def shoal(self, operation, buffers):
        file = self.folder / "shoal.json"
        run([SHOAL, "comm", "bench", "-n", self.options.n, "--operation", operation, "--buffers",
             buffers, "--from", self.options.first, "--to", self.options.last, "--repetitions", 1,
             "--json", file])
        figures = [row["median_seconds"] for row in json.loads(file.read_text())["sizes"]]
        return dict(zip(self.sizes(operation), figures, strict=True))

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

    def open_mpi(self, operation):
        best = {}
        crowded = self.options.n > len(os.sched_getaffinity(0))
        binding = (["--oversubscribe", "--mca", "mpi_yield_when_idle", 1] if crowded
                   else ["--bind-to", "core"])
        for mechanism in ("cma", "none"):
            found = rows(run(["mpirun", "-n", self.options.n, *binding, "--mca",
                              "btl_vader_single_copy_mechanism", mechanism, self.mpi, operation,
                              self.options.first, self.options.last]))
            best = {size: min(seconds, best.get(size, seconds)) for size, seconds in found.items()}
        return best

    def contenders(self, operation):
        named = {"shared": lambda: self.shoal(operation, "shared"),
                 "ordinary": lambda: self.shoal(operation, "ordinary"),
                 "plugin": lambda: self.torch(operation, "shoal"),
                 "gloo": lambda: self.torch(operation, "gloo")}
        if self.mpi:
            named["mpi"] = lambda: self.open_mpi(operation)
        return named

    def measure(self, operation):
        """{"near" or "far": {contender: {bytes: [seconds of each repetition]}}}"""
        classes, done, tries = {}, 0, 4 * self.options.repetitions
        while done < self.options.repetitions and tries > 0:
            tries -= 1
            before = self.distance()
            found = {name: call() for name, call in self.contenders(operation).items()}
            if self.distance() != before:
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
    repetitions = len(next(iter(figures["gloo"].values())))
    print(f"\n{operation}, {distance or 'one core'}, {repetitions} repetitions")
    print(f"{'size':>9}" + "".join(f"{name:>28}" for name in names)
          + f"{'gloo/shared':>13}{'gloo/plugin':>13}" + (f"{'mpi/shared':>12}{'mpi/ordinary':>14}"
                                                         if "mpi" in figures else ""))
    for size in sorted(figures["shared"]):
        median = {name: statistics.median(figures[name][size]) for name in names}
        line = f"{size_text(size):>9}"
        for name in names:
            times = figures[name][size]
            line += f"{f'{text(median[name])} ({text(min(times))} - {text(max(times))})':>28}"
        line += f"{median['gloo'] / median['shared']:>13.1f}{median['gloo'] / median['plugin']:>13.1f}"
        if "mpi" in figures:
            line += (f"{median['mpi'] / median['shared']:>12.2f}"
                     f"{median['mpi'] / median['ordinary']:>14.2f}")
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
        if not bench.mpi:
            print("no mpicc: measured without an MPI")
        results = {}
        for operation in options.operations.split(","):
            results[operation] = bench.measure(operation)
            for distance, figures in results[operation].items():
                show(operation, distance, figures)
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
