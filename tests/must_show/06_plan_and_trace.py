#!/usr/bin/env python3
"""The printed program of two workers, and the trace of the same operations over a slow link."""
import re

from support import (TEMPORARY, check, fail, finished, job_file, lacks_for_two_hosts, shoal, skip,
                     train_on_two_hosts)

WIDTH = 1024
JOB = job_file("wide", {
    "": {"seed": 5},
    "model": {"layers": [["flatten", {"linear": WIDTH}], ["relu", {"linear": WIDTH}],
                         ["relu", {"linear": 10}]]},
    "data": {"name": "random", "shape": [1, 28, 28], "size": 4000, "test_size": 10},
    "train": {"steps": 6, "batch": 1000, "evaluate": False},
    "data_parallel": {"bucket_bytes": 1 << 20},
})


def printed_program():
    svg = TEMPORARY / "plan.svg"
    text = shoal("plan", JOB, "-n", 2, "--svg", svg).stdout
    ranks = re.split(r"^rank \d+, stage.*$", text, flags=re.MULTILINE)[1:]
    programs = [names for part in ranks
                if (names := re.findall(r"^ *\d+  (\S+) ", part, re.MULTILINE))]
    check(len(programs) == 2 and programs[0] == programs[1], "the programs of both ranks")
    check(re.search(r"^ranks? 0.*\| F0 B0", text, re.MULTILINE), "a picture on the terminal")
    check(svg.read_text().lstrip().startswith("<"), "a picture as SVG")
    return programs[0]


def spans_of(events, rank, step):
    return [e for e in events if e["ph"] == "X" and e["pid"] == rank and e["args"]["step"] == step
            and e["args"]["op"] >= 0]


def overlap(a, b):
    return min(a["ts"] + a["dur"], b["ts"] + b["dur"]) - max(a["ts"], b["ts"])


def check_trace(events, program):
    overlapping = {0: 0, 1: 0}
    for rank in (0, 1):
        for step in range(6):
            spans = spans_of(events, rank, step)
            by_op = [e["name"] for e in sorted(spans, key=lambda e: e["args"]["op"])]
            if by_op != program:
                fail(f"rank {rank}, step {step}: the trace has {by_op}, the program {program}")
            for lane in {e["tid"] for e in spans}:
                started = sorted((e for e in spans if e["tid"] == lane), key=lambda e: e["ts"])
                order = [e["args"]["op"] for e in started]
                if order != sorted(order):
                    fail(f"rank {rank}, step {step}, lane {lane}: operations ran as {order}")
            reductions = [e for e in spans if e["name"].startswith("AllReduce")]
            backwards = [e for e in spans if re.fullmatch(r"B\d+", e["name"])]
            overlapping[rank] += any(overlap(r, b) > 0 for r in reductions for b in backwards)
    print("ok: 6 steps of both ranks hold the program's operations, in its order on every lane")
    for rank, steps in overlapping.items():
        check(steps >= 4, f"rank {rank}: all-reduce runs beside backward in {steps} of 6 steps")
    kinds = {e["cat"] for e in events if e["ph"] == "X"}
    wanted = {"preprocess", "partition", "load", "train", "synchronize", "update"}
    check(wanted <= kinds, f"the six steps of a worker are visible: {sorted(kinds)}")


PROGRAM = printed_program()
check(any(name.startswith("AllReduce") for name in PROGRAM), f"it sums gradients: {PROGRAM}")
if lacking := lacks_for_two_hosts():
    skip(f"the program is printed; a trace over a slow link is left out: {lacking}")
check_trace(train_on_two_hosts(JOB, "--trace", gbits=1)["traceEvents"], PROGRAM)
finished()
