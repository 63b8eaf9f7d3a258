#!/usr/bin/env python3
"""resnet18 with batch_norm = "global": the same training whatever the number of workers."""
from support import (check, check_losses_agree, check_same_weights, finished, job_file,
                     relative_gap, shoal, train)


def job(name, **train_keys):
    return job_file(name, {
        "": {"seed": 5},
        "model": {"name": "resnet18", "batch_norm": "global"},
        "data": {"name": "random", "shape": [3, 12, 12], "size": 200, "test_size": 20},
        "train": {"steps": 20, "batch": 10, "momentum": 0.9, "lr": 0.01, "precision": "fp64",
                  "evaluate_batch": 10} | train_keys})


resnet = job("resnet18")
alone = train(resnet)
check(alone["parameters"] == 11_173_962, "resnet18 in its CIFAR form has 11,173,962 parameters")
for workers in (2, 3):
    report = train(resnet, workers)
    check_losses_agree(alone, report, 1e-9, f"resnet18, fp64, 20 steps, {workers} workers and 1")
    gap = abs(alone["eval"]["loss"] - report["eval"]["loss"]) / alone["eval"]["loss"]
    check(gap < 1e-9, f"{workers} workers: the evaluation differs by {gap:.1e}")
    if workers == 2:
        check_same_weights(report, train(resnet, workers, mode="threads"), "threads and processes")

short = {"train.steps": 5}
local = train(resnet, 2, changes=short | {"model.batch_norm": "local"})
gap = relative_gap(local["loss"], alone["loss"][:5])
check(gap > 1e-6, f"batch_norm = \"local\" is another training: losses differ by {gap:.1e}")

plan = shoal("plan", resnet, "-n", 2)
check("data in blocks" in plan.stdout, "the plan shows which operations meet the other workers")
refused = shoal("train", resnet, "-n", 2, "--set", "pipeline.microbatches=2", expect=2)
check("sums over the whole batch" in refused.stderr and "microbatches = 2" in refused.stderr,
      f"refused: {refused.stderr.strip()}")
finished()
