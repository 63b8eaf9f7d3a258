#!/usr/bin/env python3
"""shoal's training steps beside PyTorch's, interleaved in one run.

usage: bench/training.py [--repetitions 5] [--steps 40] [--models mynet,wide,resnet18] [--json FILE]

For each model, global batch and AdamW as in bench/peers/ddp.py, five repetitions of, in turn:
  limit     two shoal workers side by side, each on half the batch, no communication: the median over
            steps of the slower one
  shoal 2   shoal train -n 2          ddp 2   PyTorch's DDP over Gloo, two processes
  shoal 1   one worker, whole batch   eager 1 PyTorch eager, one process, one thread
  start     launch to the end of the first step, shoal train -n 2 and torchrun
  +ckpt     shoal train -n 2 with a checkpoint every 10 steps
  bf16      shoal train -n 2 with precision = "bf16", and one worker beside PyTorch's channels last:
            resnet18 only, in a quarter of the steps
Every figure is the median of the repetitions' medians, with the smallest and largest beside it.
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

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHOAL = os.environ.get("SHOAL", str(ROOT / "build/bin/shoal"))
PYTHON = ROOT / ".venv/bin/python"
TORCHRUN = ROOT / ".venv/bin/torchrun"
PEER = str(ROOT / "bench/peers/ddp.py")
SHAPES = {"mynet": "[1, 28, 28]", "wide": "[2048]", "resnet18": "[3, 32, 32]"}
BATCH = {"mynet": 128, "wide": 64, "resnet18": 64}
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def job(model, batch, steps, folder):
    path = pathlib.Path(folder) / f"{model}-{batch}.toml"
    path.write_text(f"""
[model]
name = "{model}"
[data]
name = "random"
shape = {SHAPES[model]}
size = 1024
test_size = 10
normalize = "none"
[train]
steps = {steps}
batch = {batch}
optimizer = "adamw"
lr = 1e-3
evaluate = false
""")
    return str(path)


def shoal_command(job_file, report, workers, *extra):
    return [SHOAL, "train", job_file, "-n", str(workers), "--quiet", "--report", report, *extra]


def run(command, **environment):
    done = subprocess.run(command, env={**ENVIRONMENT, **environment}, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-800:]}")
    return done.stdout


def shoal_report(folder, job_file, workers, *extra):
    report = os.path.join(folder, "report.json")
    run(shoal_command(job_file, report, workers, *extra))
    return json.loads(pathlib.Path(report).read_text())


def limit(folder, model, steps):
    """Two workers on half the batch each, without communication."""
    cores = sorted(os.sched_getaffinity(0))
    job_file = job(model, BATCH[model] // 2, steps, folder)
    reports = [os.path.join(folder, f"alone{i}.json") for i in range(2)]
    running = [subprocess.Popen(["taskset", "-c", str(cores[i % len(cores)]),
                                 *shoal_command(job_file, reports[i], 1)], env=ENVIRONMENT)
               for i in range(2)]
    for process in running:
        if process.wait() != 0:
            sys.exit("a worker of the limit failed")
    steps_of = [json.loads(pathlib.Path(r).read_text())["step_seconds"]["all"] for r in reports]
    return st.median(max(pair) for pair in zip(*steps_of))


def peer(model, steps, workers, **environment):
    start = {"START": str(time.time()), "PIN": "1"} | environment
    if workers == 1:
        return json.loads(run([str(PYTHON), PEER, model, str(steps)], **start))
    return json.loads(run([str(TORCHRUN), "--nproc-per-node", str(workers), "--master-port", "29657",
                           PEER, model, str(steps)], **start))


def checkpointed(folder, job_file):
    path = tempfile.mkdtemp(dir=folder)
    report = shoal_report(folder, job_file, 2, "--set", f"checkpoint.path={path}",
                          "--set", "checkpoint.every_steps=10")
    return st.mean(report["step_seconds"]["all"])


def probe():
    """Seconds of a fixed piece of arithmetic, and memory bandwidth: how fast the machine is now."""
    code = ("import time,torch;torch.set_num_threads(1);a=torch.randn(1024,1024);"
            "[a@a for _ in range(3)];t=time.perf_counter();[a@a for _ in range(10)];m=(time.perf_counter()-t)/10;"
            "b=torch.empty(1<<26);c=torch.empty(1<<26);c.copy_(b);t=time.perf_counter();c.copy_(b);"
            "print(2.147/m, 2*4*(1<<26)/(time.perf_counter()-t)/1e9)")
    gflops, bandwidth = run([str(PYTHON), "-c", code]).split()
    load = os.getloadavg()[0]
    return {"gflops_1_core": round(float(gflops), 1), "copy_GBps": round(float(bandwidth), 1),
            "load": round(load, 2)}


def measure(model, arguments, folder):
    rows = {}
    steps = max(8, arguments.steps // 4) if model == "resnet18" else arguments.steps
    whole = job(model, BATCH[model], steps, folder)

    def add(name, value):
        rows.setdefault(name, []).append(value)

    for _ in range(arguments.repetitions):
        add("limit", limit(folder, model, steps))
        two = shoal_report(folder, whole, 2)
        add("shoal 2", two["step_seconds"]["p50"])
        add("start shoal", two["start_seconds"])
        add("communication share", two["share"]["communication"])
        ddp = peer(model, steps, 2)
        add("ddp 2", st.median(ddp["seconds"]))
        add("start ddp", ddp["first_step"])
        add("shoal 1", shoal_report(folder, whole, 1)["step_seconds"]["p50"])
        add("eager 1", st.median(peer(model, steps, 1)["seconds"]))
        if model == "resnet18":
            # Both memory formats: PyTorch's default is channels first, shoal's here channels last.
            add("eager 1 last",
                st.median(peer(model, steps, 1, CHANNELS_LAST="1")["seconds"]))
            add("bf16 2", shoal_report(folder, whole, 2, "--set", 'train.precision="bf16"')
                ["step_seconds"]["p50"])
            continue
        add("mean plain", st.mean(shoal_report(folder, whole, 2)["step_seconds"]["all"]))
        add("mean ckpt", checkpointed(folder, whole))
    return rows


def show(model, rows):
    print(f"\n{model}: batch {BATCH[model]}, AdamW")
    for name, values in rows.items():
        unit = 1 if name.startswith("start") or name.endswith("share") else 1e3
        label = "s" if name.startswith("start") else "" if name.endswith("share") else "ms"
        print(f"  {name:20} {unit * st.median(values):8.2f} {label:2}   "
              f"({unit * min(values):.2f} to {unit * max(values):.2f})")
    ratios = {}
    for title, a, b in [("shoal 2 / limit", "shoal 2", "limit"), ("shoal 2 / ddp 2", "shoal 2", "ddp 2"),
                        ("shoal 1 / eager 1", "shoal 1", "eager 1"),
                        ("start shoal / start ddp", "start shoal", "start ddp"),
                        ("shoal 1 / eager 1 last", "shoal 1", "eager 1 last"),
                        ("bf16 2 / ddp 2", "bf16 2", "ddp 2"),
                        ("checkpoints / none", "mean ckpt", "mean plain")]:
        if a not in rows or b not in rows:
            continue
        pairs = [x / y for x, y in zip(rows[a], rows[b])]
        ratios[title] = {"median": st.median(pairs), "least": min(pairs), "most": max(pairs)}
        print(f"  {title:24} {st.median(pairs):.3f}   ({min(pairs):.3f} to {max(pairs):.3f})")
    return ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--models", default="mynet,wide,resnet18")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    results = {"date": time.strftime("%Y-%m-%d"), "probe before": probe()}
    print("probe", results["probe before"])
    for model in arguments.models.split(","):
        with tempfile.TemporaryDirectory() as folder:
            rows = measure(model, arguments, folder)
        results[model] = {"rows": rows, "ratios": show(model, rows)}
    results["probe after"] = probe()
    print("\nprobe", results["probe after"])
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
