#!/usr/bin/env python3
"""shoal's updates beside torch.optim's, in turn, beyond the cache.

usage: bench/optimizer.py [--repetitions 5] [--kinds adamw,sgd,adagrad,rmsprop]

Nanoseconds a parameter, one thread, of 32 Mi float32 parameters in 16 tensors, each figure the median of the
repetitions' medians with the smallest and largest beside it. shoal divides the gradients by the batch within the
update. torch.optim gets gradients that are divided already, in its "fused" form where there is a kernel for
CPUs and in the "foreach" one.
"""
import argparse
import json
import os
import pathlib
import statistics as st
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCH = ROOT / "build/bin/optimizer_bench"
PYTHON = ROOT / ".venv/bin/python"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
TENSORS, ELEMENTS, WARM_UPS, UPDATES = 16, 2 << 20, 2, 7


def of_torch(kind, form):
    """In a process of its own, as shoal's: prints nanoseconds a parameter."""
    import torch

    torch.set_num_threads(1)
    make = {
        "adamw": (torch.optim.AdamW, {"weight_decay": 0.01}),
        "sgd": (torch.optim.SGD, {"momentum": 0.9}),
        "adagrad": (torch.optim.Adagrad, {}),
        "rmsprop": (torch.optim.RMSprop, {}),
    }[kind]
    parameters = [torch.nn.Parameter(torch.rand(ELEMENTS) + 0.5) for _ in range(TENSORS)]
    for parameter in parameters:
        parameter.grad = (torch.rand(ELEMENTS) - 0.5) / 128
    optimizer = make[0](parameters, lr=1e-6, **make[1], **{form: True})
    times = []
    for update in range(WARM_UPS + UPDATES):
        start = time.perf_counter_ns()
        optimizer.step()
        if update >= WARM_UPS:
            times.append((time.perf_counter_ns() - start) / (TENSORS * ELEMENTS))
    print(json.dumps({"ns": st.median(times)}))


def measure(command):
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])["ns"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--kinds", default="adamw,sgd,adagrad,rmsprop")
    parser.add_argument("--torch", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.torch:
        return of_torch(*arguments.torch)
    if not BENCH.exists():
        sys.exit(f"{BENCH} is missing: run make bench")
    me = pathlib.Path(__file__).resolve()
    for kind in arguments.kinds.split(","):
        forms = ["foreach"] if kind == "rmsprop" else ["fused", "foreach"]
        commands = {"shoal": [BENCH, "--json", kind]}
        commands |= {form: [PYTHON, me, "--torch", kind, form] for form in forms}
        found = {name: [] for name in commands}
        for _ in range(arguments.repetitions):
            for name, command in commands.items():
                found[name].append(measure(command))
        for name, times in found.items():
            ratio = st.median(times) / st.median(found["shoal"])
            print(f"{kind:<9}{name:<9}{st.median(times):6.2f} ns ({min(times):.2f} to {max(times):.2f})"
                  f"  {ratio:5.2f} x shoal")


if __name__ == "__main__":
    main()
