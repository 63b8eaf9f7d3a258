#!/usr/bin/env python3
"""Ctrl-C and SIGTERM end a run at a step, with a checkpoint when one is configured."""
import signal
import subprocess
import time

from support import (SHOAL, TEMPORARY, check, check_same_weights, environment, fail, finished,
                     left_processes, small_job, step_folders, train)

STEPS = 40
LAYERS = ["flatten", {"linear": 24}, "relu", {"dropout": 0.2}, {"linear": 10},
          {"wait": 25, "backward": 0}]


def job(name, folder=None):
    tables = {"checkpoint": {"path": str(folder), "every_steps": 0}} if folder else {}
    return small_job(name, model={"layers": LAYERS}, train={"steps": STEPS, "precision": "fp64"},
                     **tables)


def stopped(name, number, folder=None):
    """Starts 2 workers, sends a signal to the launcher after the first step. Its exit code."""
    output = TEMPORARY / f"{name}.log"
    with open(output, "w") as log:
        launcher = subprocess.Popen([SHOAL, "train", str(job(name, folder)), "-n", "2"],
                                    env=environment(), cwd=TEMPORARY, stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log)
        end = time.monotonic() + 60
        while "step" not in output.read_text():
            if launcher.poll() is not None or time.monotonic() > end:
                fail(f"no step is reported: {output.read_text()}")
            time.sleep(0.01)
        launcher.send_signal(number)
        sent = time.monotonic()
        code = launcher.wait(timeout=60)
    print(output.read_text())
    check(time.monotonic() - sent < 10, f"{name}: it is over {time.monotonic() - sent:.1f} s later")
    check(not left_processes(), f"{name}: no worker stays behind")
    check("error: " not in output.read_text(), f"{name}: nobody calls it an error")
    return code


undisturbed = train(job("undisturbed"), 2)
for name, number, code in (("ctrl-c", signal.SIGINT, 130), ("sigterm", signal.SIGTERM, 143)):
    folder = TEMPORARY / f"{name}-checkpoints"
    check(stopped(name, number, folder) == code, f"{name}: exit code {code}")
    kept = step_folders(folder)
    check(len(kept) == 1 and (kept[0] / "index.json").exists(), f"{name}: it left a checkpoint")
    report = train(job(f"{name}-on", folder), 2, "--resume")
    check(0 < report["first_step"] < STEPS, f"{name}: resumed after step {report['first_step']}")
    check_same_weights(undisturbed, report, f"{name} and --resume, or never disturbed")
    check(stopped(f"{name}-bare", number) == code, f"{name}, no checkpoints: exit code {code}")

finished()
