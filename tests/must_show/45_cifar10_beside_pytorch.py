#!/usr/bin/env python3
"""CIFAR-10 as JPEG files, ResNet-18 in its CIFAR form, two workers: the accuracy that PyTorch's DDP
reaches with the same recipe and budget, within 0.5 points.

SHOAL_CIFAR10=FOLDER    holds train/CLASS/*.jpg and test/CLASS/*.jpg; without it this is skipped
SHOAL_CIFAR10_EPOCHS=N  of the budget: 3; SHOAL_CIFAR10_SEEDS=N runs of each, whose mean counts: 1

In bf16 where `shoal doctor` finds that the processor computes it: an epoch takes either of them 8 minutes of
two such cores. Elsewhere in fp32, for there bf16 takes a minute a step.
"""
import json
import os
from pathlib import Path

from support import REPOSITORY, SHOAL, TEMPORARY, check, finished, job_file, run, settings, skip

folder = os.environ.get("SHOAL_CIFAR10")
if not folder:
    skip("SHOAL_CIFAR10 names no folder with train/CLASS/*.jpg and test/CLASS/*.jpg")
python = REPOSITORY / ".venv/bin/python"
if run([python, "-c", "import PIL"], expect=None).returncode != 0:
    skip(f"PyTorch's side reads pictures with Pillow: {python} -m pip install pillow")


def computes_bf16():
    report = TEMPORARY / "doctor.json"
    run([SHOAL, "doctor", "--json", report], expect=None)
    findings = json.loads(report.read_text())["findings"]
    return next(one["standing"] for one in findings if one["subject"] == "bfloat16") == "good"


EPOCHS = int(os.environ.get("SHOAL_CIFAR10_EPOCHS", "3"))
SEEDS = int(os.environ.get("SHOAL_CIFAR10_SEEDS", "1"))
RECIPE = {"epochs": EPOCHS, "batch": 128, "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4,
          "warmup_steps": 78 * EPOCHS}  # a fifth
RECIPE["precision"] = "bf16" if computes_bf16() else "fp32"
LIMIT = 6 * 3600
job = job_file("cifar10", {
    "model": {"name": "resnet18"},
    "data": {"name": "image-folder", "path": folder, "mean": [0.4914, 0.4822, 0.4465],
             "std": [0.2470, 0.2435, 0.2616]},
    "augment": {"crop": "padded", "flip": 0.5},
    "train": {"epochs": EPOCHS, "batch": RECIPE["batch"], "lr": RECIPE["lr"],
              "momentum": RECIPE["momentum"], "nesterov": True, "precision": RECIPE["precision"],
              "weight_decay": RECIPE["weight_decay"], "warmup_steps": RECIPE["warmup_steps"],
              "lr_schedule": "cosine"}})


def shoal(seed):
    report = TEMPORARY / f"shoal-{seed}.json"
    run([SHOAL, "train", job, "-n", 2, "--quiet", "--report", report, *settings({"seed": seed})],
        limit=LIMIT)
    return json.loads(report.read_text())["eval"]["accuracy"]


def pytorch(seed):
    done = run([REPOSITORY / ".venv/bin/torchrun", "--nproc-per-node", 2, "--master-port", 29668,
                Path(__file__).parent / "cifar10_of_pytorch.py", folder,
                json.dumps(RECIPE | {"seed": seed})], limit=LIMIT, OMP_NUM_THREADS=1)
    return json.loads(done.stdout)["accuracy"]


reached = {"shoal": [], "PyTorch": []}
for seed in range(1, SEEDS + 1):
    for name, train in (("shoal", shoal), ("PyTorch", pytorch)):
        reached[name].append(train(seed))
        print(f"{name}, seed {seed}: {100 * reached[name][-1]:.2f} %", flush=True)
ours, theirs = (sum(values) / len(values) for values in reached.values())
check(ours > theirs - 0.005, f"{EPOCHS} epochs in {RECIPE['precision']}, 2 workers: shoal reaches "
      f"{100 * ours:.2f} %, PyTorch's DDP {100 * theirs:.2f} %")
finished()
