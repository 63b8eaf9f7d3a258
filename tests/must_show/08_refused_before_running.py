#!/usr/bin/env python3
"""An impossible layer list, and a program edited by hand into a deadlock: refused, both named."""
import json
import re

from support import TEMPORARY, check, fail, finished, shoal, small_job


def refused(what, words, *patterns):
    report = TEMPORARY / "report.json"
    done = shoal("train", *words, "--report", report, expect=None)
    if done.returncode != 2:
        fail(f"{what}: exit code {done.returncode} instead of 2: {done.stderr}")
    for pattern in patterns:
        if not re.search(pattern, done.stderr):
            fail(f"{what}: '{pattern}' is not in: {done.stderr}")
    check(not report.exists() and "step 1/" not in done.stdout,
          f"{what}: refused before anything runs: {done.stderr.strip()[:400]}")


def impossible_layers():
    job = small_job("layers", model={"layers": [{"conv": 4, "kernel": 3}, "flatten",
                                                {"linear": 10}, {"conv": 4, "kernel": 3}]})
    refused("a convolution after a linear layer", [job], "linear", "conv")
    job = small_job("kernel", model={"layers": ["relu", {"pool": 20}, "flatten",
                                                {"linear": 10}]})
    refused("a pool larger than its image", [job], "pool", "relu|8")
    job = small_job("head", model={"layers": ["relu", {"linear": 10}]})
    refused("a linear layer on an image", [job], "linear", "relu|flatten")


def saved_programs(job, workers):
    file = TEMPORARY / f"{job.stem}-programs.json"
    shoal("plan", job, "-n", workers, "--no-costs", "--save-programs", file)
    return file, json.loads(file.read_text())


def swap(ops, a, b):
    ops[a], ops[b] = ops[b], ops[a]


def positions(ops, kind):
    return [i for i, op in enumerate(ops) if op["op"] == kind]


def collectives_in_another_order():
    job = small_job("buckets", data_parallel={"bucket_bytes": 64},
                    model={"layers": [["flatten", {"linear": 16}], {"linear": 16},
                                      {"linear": 10}]})
    file, programs = saved_programs(job, 2)
    shoal("train", job, "-n", 2, "--quiet", "--programs", file)
    ops = programs["programs"]["train"][1]["ops"]
    reductions = positions(ops, "all_reduce")
    check(len(reductions) >= 2, f"the program has {len(reductions)} buckets")
    first, second = reductions[-2:]
    moved = ops.pop(first)
    ops.insert(second, moved)  # behind the other one, on rank 1 only
    file.write_text(json.dumps(programs))
    refused("two all-reduces in another order on rank 1", [job, "-n", 2, "--programs", file],
            r"AllReduce.*AllReduce", "rank")


def sends_in_a_circle():
    job = small_job("stages", parallel={"mesh": {"pipe": 2}}, pipeline={"cuts": [3]})
    file, programs = saved_programs(job, 2)
    shoal("train", job, "-n", 2, "--quiet", "--programs", file)
    ops = programs["programs"]["train"][0]["ops"]
    send, receive = positions(ops, "send")[0], positions(ops, "receive")[0]
    moved = ops.pop(receive)
    ops.insert(send, moved)  # waits for a gradient before it has sent the activation
    file.write_text(json.dumps(programs))
    refused("a receive moved before the send it depends on",
            [job, "-n", 2, "--programs", file], "Receive", r"rank 0.*rank 1|rank 1.*rank 0")


impossible_layers()
collectives_in_another_order()
sends_in_a_circle()
finished()
