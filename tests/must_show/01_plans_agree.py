#!/usr/bin/env python3
"""1, 2, 3 and 5 workers on the same global batch of 100: the same training."""
import json
import random
import struct

from gradients import first_gradient, gap, weights_after_one_step
from support import (TEMPORARY, check, check_losses_agree, check_same_weights, finished, free_port,
                     rewrite_checkpoint, shoal, small_job, step_folders, together,
                     train, train_all)

WORKERS = (1, 2, 3, 5)
ROUNDING = 2.0 ** -24
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


def one_ulp(seed):
    """A change of every weight by one unit in the last place, up or down; optimizer states 0."""
    choose = random.Random(seed)

    def change(part, content):
        if part["role"] != "parameter":
            return bytes(len(content))
        if seed is None:
            return content
        values = struct.unpack(f"<{len(content) // 4}i", content)
        moved = [v + choose.choice((-1, 1)) if v & 0x7FFFFFFF else v for v in values]
        return struct.pack(f"<{len(moved)}i", *moved)

    return change


def losses_from_changed_weights(name, job, start, seed):
    folder = TEMPORARY / f"{name}-ulp-{seed}"
    folder.mkdir()
    rewrite_checkpoint(start, folder / "step-00000000", 0, one_ulp(seed))
    report = train(job, 1, "--resume", changes={"checkpoint.path": str(folder)})
    check(report["first_step"] == 0 and len(report["loss"]) == 20,
          f"{name}: 20 steps from initial weights out of a checkpoint")
    return report["loss"]


def largest_so_far(losses, others):
    """The largest difference up to each step."""
    largest, result = 0.0, []
    for a, b in zip(losses, others):
        largest = max(largest, abs(a - b))
        result.append(largest)
    return result


def later_losses_agree(name, job, reports):
    folder = TEMPORARY / f"{name}-start"
    train(job, 1, changes={"train.steps": 1, "train.lr": 1e-30, "checkpoint.path": str(folder)})
    start = step_folders(folder)[-1]
    alone = reports[1]["loss"]
    check(losses_from_changed_weights(name, job, start, None) == alone,
          f"{name}: unchanged initial weights give the bits of a run from the beginning")
    changed = together([lambda s=s: losses_from_changed_weights(name, job, start, s)
                        for s in (1, 2, 3)])
    spread = [max(step) for step in zip(*(largest_so_far(alone, other) for other in changed))]
    for workers in WORKERS[1:]:
        differences = largest_so_far(alone, reports[workers]["loss"])
        # A loss is itself a float32: a unit in its last place says nothing.
        worst = max(d / max(s, ROUNDING * loss)
                    for d, s, loss in zip(differences, spread, alone))
        check(worst <= 10, f"{name}, fp32, {workers} workers: losses differ by at most {worst:.2f} "
                           f"times what one unit in the last place of the initial weights causes")


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
    later_losses_agree(name, job, reports)


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
