#!/usr/bin/env python3
"""1, 2, 3 and 5 workers on the same global batch of 100: the same training."""
import json

from gradients import first_gradient, gap, weights_after_one_step
from rounding import Spread
from support import (TEMPORARY, check, check_losses_agree, check_same_weights, finished, free_port,
                     shoal, small_job, together, train, train_all)

WORKERS = (1, 2, 3, 5)
MODELS = {
    "chain": dict(),
    "mynet": dict(model={"name": "mynet"}, data={"shape": [1, 28, 28]}),
}


def first_gradients_agree(name, job):
    start = weights_after_one_step(job, 1, 1e-30)
    gradients = together([lambda n=n: first_gradient(job, n, start) for n in WORKERS])
    for workers, other in zip(WORKERS[1:], gradients[1:]):
        difference = gap(gradients[0], other)
        check(difference <= 1e-5,
              f"{name}, fp32, {workers} workers: first gradients differ by {difference:.1e}")


def check_model(name, parts):
    job = small_job(f"{name}-fp64", **parts, train={"precision": "fp64"})
    reports = dict(zip(WORKERS, train_all([((job, n), {}) for n in WORKERS])))
    check(max(reports[1]["loss"]) > min(reports[1]["loss"]) + 1e-3, f"{name}: the loss moves")
    for n in WORKERS[1:]:
        check(reports[n]["workers"] == n and len(reports[n]["loss"]) == 20,
              f"{name}: {n} workers, 20 steps, weights bit-equal on all of them")
        check_losses_agree(reports[1], reports[n], 1e-9, f"{name}, fp64, {n} workers and 1")

    job = small_job(f"{name}-fp32", **parts)
    first_gradients_agree(name, job)
    reports = dict(zip(WORKERS, train_all([((job, n), {}) for n in WORKERS])))
    threads = train_all([((job, n), {"mode": "threads"}) for n in WORKERS[1:]])
    for n, of_threads in zip(WORKERS[1:], threads):
        check_same_weights(reports[n], of_threads, f"{name}, {n} threads and {n} processes")
        check(of_threads["loss"] == reports[n]["loss"], f"{name}, {n} threads: the same losses")
    spread = Spread(name, job, reports[1])
    for n in WORKERS[1:]:
        spread.check_losses(reports[n], f"{n} workers")


def different_seeds_begin_equal():
    """Two workers, each started by hand with another seed: rank 0's counts."""
    job = small_job("seeds")
    variables = {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1",
                 "MASTER_PORT": free_port()}
    report = TEMPORARY / "seeds.json"
    together([lambda rank=rank: shoal(
        "train", job, "--quiet", "--report", report, "--set", f"seed={rank + 21}",
        RANK=rank, LOCAL_RANK=rank, PYTHONHASHSEED=rank, **variables) for rank in (0, 1)])
    reference = train(job, 2, changes={"seed": 21})
    check_same_weights(reference, json.loads(report.read_text()),
                       "2 workers started with seeds 21 and 22, and 2 with seed 21")


different_seeds_begin_equal()
for model, parts_of_job in MODELS.items():
    check_model(model, parts_of_job)
finished()
