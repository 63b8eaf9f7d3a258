#!/usr/bin/env python3
"""PyTorch's own parallel modules on shoal's communication and on Gloo, interleaved in one run.

usage: bench/plugin.py [--models wide,mynet] [--repetitions 5] [--steps 40] [--json FILE]

For each model two processes train with DistributedDataParallel and with FSDP2, on Gloo and on shoal,
with tensors in shared memory ("shared": shoal.share_tensors()), and side by side without communication
("alone": what no engine can beat). A figure is the median of
the repetitions' median steps in milliseconds, with the smallest and largest beside it.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHOAL = os.environ.get("SHOAL", str(ROOT / "build/bin/shoal"))
PEER = ROOT / "bench/peers/ddp.py"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PIN": "1",
               "PYTHONPATH": str(ROOT / "build/python")}
CONTENDERS = {"alone": ("alone", "gloo"), "ddp on gloo": ("ddp", "gloo"),
              "ddp on shoal": ("ddp", "shoal"), "ddp, shared": ("ddp", "shared"),
              "fsdp2 on gloo": ("fsdp2", "gloo"), "fsdp2 on shoal": ("fsdp2", "shoal"),
              "fsdp2, shared": ("fsdp2", "shared")}


def step_ms(model, steps, mode, backend):
    command = [str(ROOT / ".venv/bin/torchrun"), "--standalone", "--nproc-per-node", "2", str(PEER),
               model, str(steps), mode, backend]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-1500:]}")
    return 1e3 * statistics.median(json.loads(done.stdout.splitlines()[-1])["seconds"][3:])


def probe():
    done = subprocess.run([SHOAL, "comm", "bench", "--to", "4", "--repetitions", "1"],
                          capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", default="wide,mynet")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--json")
    options = parser.parse_args()
    results = {}
    for model in options.models.split(","):
        times = {name: [] for name in CONTENDERS}
        print(f"\n{model}: {probe()}", flush=True)
        for _ in range(options.repetitions):
            for name, (mode, backend) in CONTENDERS.items():
                times[name].append(step_ms(model, options.steps, mode, backend))
        median = {name: statistics.median(list_of) for name, list_of in times.items()}
        for name, list_of in times.items():
            print(f"{name:<15} {median[name]:7.1f} ms ({min(list_of):.1f} - {max(list_of):.1f})")
        for mode in ("ddp", "fsdp2"):
            print(f"{mode}: {median[f'{mode} on shoal'] / median[f'{mode} on gloo']:.2f} of its time "
                  f"on gloo, {median[f'{mode}, shared'] / median[f'{mode} on gloo']:.2f} with tensors in "
                  f"shared memory; an engine that costs nothing would be at "
                  f"{median['alone'] / median[f'{mode} on gloo']:.2f}")
        print(probe(), flush=True)
        results[model] = times
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
