#!/usr/bin/env python3
"""A chain of 6 blocks on pipelines of 1, 2 and 3 stages, and the slots that schedules take."""
import json

from gradients import first_gradient, gap, weights_after_one_step
from rounding import Spread
from support import (TEMPORARY, check, check_losses_agree, fail, finished, shoal, small_job,
                     together, train, train_all)

SCHEDULE_STEPS = 5  # a loaded machine may spoil some of them
WAIT = 250  # ms that a block sleeps, forward and backward
BLOCKS = [["flatten", {"linear": 48}], "tanh", {"dropout": 0.25}, {"linear": 32}, "relu",
          {"linear": 10}]
MESHES = ({"pipe": 1}, {"pipe": 2}, {"pipe": 3}, {"pipe": 2, "data": 2})


def workers_of(mesh):
    count = 1
    for size in mesh.values():
        count *= size
    return count


def pipeline_jobs(precision, schedule):
    """[(mesh, job), ...]"""
    return [(mesh, small_job(f"{precision}-{schedule}-{i}", model={"layers": BLOCKS},
                             train={"precision": precision}, parallel={"mesh": mesh},
                             pipeline={"microbatches": 3, "schedule": schedule}))
            for i, mesh in enumerate(MESHES)]


def reports_of(jobs):
    return train_all([((job, workers_of(mesh)), {}) for mesh, job in jobs])


def agree_in_fp64(schedule, alone):
    jobs = pipeline_jobs("fp64", schedule)
    for (mesh, _), report in zip(jobs, reports_of(jobs)):
        check(report["mesh"] == mesh and len(report["loss"]) == 20,
              f"the report names the mesh {mesh}, 20 steps, weights bit-equal where they are held")
        check_losses_agree(alone, report, 1e-9,
                           f"{mesh}, {schedule}, 3 micro-batches, fp64, and one worker")


def agree_in_fp32(schedule, start, gradient, spread):
    jobs = pipeline_jobs("fp32", schedule)
    gradients = together([lambda mesh=mesh, job=job: first_gradient(job, workers_of(mesh), start)
                          for mesh, job in jobs])
    for (mesh, _), other, report in zip(jobs, gradients, reports_of(jobs)):
        difference = gap(gradient, other)
        check(difference <= 1e-5,
              f"{mesh}, {schedule}, fp32: first gradients differ by {difference:.1e}")
        spread.check_losses(report, f"{mesh}, {schedule}")


def meshes_agree():
    model = {"layers": BLOCKS}
    alone = train(small_job("alone-fp64", model=model, train={"precision": "fp64"}))
    single = small_job("alone-fp32", model=model)
    start = weights_after_one_step(single, 1, 1e-30)
    gradient = first_gradient(single, 1, start)
    spread = Spread("chain of 6 blocks", single, train(single))
    for schedule in ("gpipe", "vanilla"):
        agree_in_fp64(schedule, alone)
        agree_in_fp32(schedule, start, gradient, spread)


def spans(trace, step, kinds):
    """(start, end, rank) of each forward or backward of a step, in microseconds."""
    return sorted((e["ts"], e["ts"] + e["dur"], e["pid"]) for e in trace["traceEvents"]
                  if e["ph"] == "X" and e["name"][0] in kinds and e["name"][1].isdigit()
                  and e["args"]["step"] == step)


def measured_forward_slots(trace, step):
    """How long at least one worker runs forward, in slots."""
    forwards = spans(trace, step, "F")
    if len(forwards) != 9:
        fail(f"{len(forwards)} forwards in the trace instead of 3 stages x 3 micro-batches")
    covered, until = 0.0, 0.0
    for start, end, _ in forwards:
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered / (WAIT * 1e3)


def run_schedule(schedule, expected):
    wait = {"wait": WAIT, "backward": WAIT}
    layers = [["flatten", {"linear": 16}, wait], [{"linear": 16}, wait], [{"linear": 10}, wait]]
    job = small_job(schedule, model={"layers": layers}, train={"steps": SCHEDULE_STEPS},
                    parallel={"mesh": {"pipe": 3}},
                    pipeline={"microbatches": 3, "schedule": schedule, "cuts": [1, 2]})
    printed = shoal("plan", job, "-n", 3, "--no-costs").stdout
    check(f"{expected} forward slots" in printed,
          f"{schedule}: the printed program takes {expected} forward slots")
    file = TEMPORARY / f"{schedule}.json"
    train(job, 3, "--trace", file)
    trace = json.loads(file.read_text())
    measured = [measured_forward_slots(trace, step) for step in range(SCHEDULE_STEPS)]
    nearest = min(measured, key=lambda m: abs(m - expected))
    check(abs(nearest - expected) < 0.5,
          f"{schedule}: {nearest:.2f} forward slots in the trace, {expected} in the program")
    return printed, trace


def busy(trace, step, rank):
    """Share of the step's forward and backward that a worker takes part in."""
    both = spans(trace, step, "FB")
    length = max(end for _, end, _ in both) - both[0][0]
    return sum(end - start for start, end, own in both if own == rank) / length


meshes_agree()
run_schedule("gpipe", 5)
vanilla_printed, vanilla = run_schedule("vanilla", 9)
check("busy 33" in vanilla_printed, "vanilla: workers are busy a third of the printed slots")
for worker in range(3):
    share = max(busy(vanilla, step, worker) for step in range(SCHEDULE_STEPS))
    check(abs(share - 1 / 3) < 0.04, f"vanilla: worker {worker} is busy {share:.3f} of the trace")
finished()
