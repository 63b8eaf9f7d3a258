#!/usr/bin/env python3
"""Ctrl-C and SIGTERM end a run at a step, with a checkpoint when one is configured; at the second
Ctrl-C nobody waits for the step."""
import signal
import subprocess
import time

from support import (SHOAL, TEMPORARY, check, check_same_weights, environment, fail, finished,
                     left_processes, small_job, step_folders, train)

STEPS = 40
LAYERS = ["flatten", {"linear": 24}, "relu", {"dropout": 0.2}, {"linear": 10}]


def job(name, folder=None, wait=25):
    tables = {"checkpoint": {"path": str(folder), "every_steps": 0}} if folder else {}
    layers = LAYERS + [{"wait": wait, "backward": 0}]
    return small_job(name, model={"layers": layers}, train={"steps": STEPS, "precision": "fp64"},
                     **tables)


def stopped(name, number, folder=None, wait=25, times=1, within=10):
    """Starts 2 workers, sends a signal to the launcher in mid-run. What its end says."""
    output = TEMPORARY / f"{name}.log"
    with open(output, "w") as log:
        launcher = subprocess.Popen([SHOAL, "train", str(job(name, folder, wait)), "-n", "2"],
                                    env=environment(), cwd=TEMPORARY, stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log)
        end = time.monotonic() + 60
        while "step" not in output.read_text():
            if launcher.poll() is not None or time.monotonic() > end:
                fail(f"no step is reported: {output.read_text()}")
            time.sleep(0.01)
        for _ in range(times):
            sent = time.monotonic()
            launcher.send_signal(number)
            time.sleep(0.3)
        code = launcher.wait(timeout=60)
        took = time.monotonic() - sent
    print(output.read_text())
    check(took < within, f"{name}: it is over {took:.1f} s later")
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

# A step lasts 5 s: only a launcher that does not wait for it is over in time.
code = stopped("twice", signal.SIGINT, wait=5000, times=2, within=3)
check(code == -signal.SIGINT, "a second ctrl-c ends the launcher at once, as a shell expects")
finished()
