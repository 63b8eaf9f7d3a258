#!/usr/bin/env python3
"""A killed worker: the others name it and stop, and the run goes on from its checkpoints."""
import os
import re
import signal
import subprocess
import time

from support import (SHOAL, TEMPORARY, check, check_losses_agree, check_same_weights, environment,
                     fail, finished, left_processes, shoal, small_job, step_folders, train,
                     train_all)

STEPS = 40


def job_with_checkpoints(name, wait=0, **tables):
    return small_job(name, model={"layers": ["flatten", {"linear": 24}, "relu", {"dropout": 0.2},
                                             {"linear": 10}, {"wait": wait, "backward": 0}]},
                     train={"precision": "fp64", "steps": STEPS},
                     checkpoint={"path": str(TEMPORARY / name), "every_steps": 4, "keep": 100},
                     **tables)


def rank_of(process):
    try:
        with open(f"/proc/{process}/environ", "rb") as file:
            found = re.search(rb"(?:^|\0)SHOAL_RANK=(\d+)", file.read())
        return int(found[1]) if found else None
    except OSError:
        return None


def kill_in_mid_epoch(job, folder):
    """Starts 3 workers, kills rank 1 once three checkpoints lie there. The launcher's output."""
    launcher = subprocess.Popen([SHOAL, "train", str(job), "-n", "3"], env=environment(),
                                cwd=TEMPORARY, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    end = time.monotonic() + 120
    while sum((f / "index.json").exists() for f in step_folders(folder)) < 3:
        if launcher.poll() is not None or time.monotonic() > end:
            fail(f"no checkpoints appear: {launcher.communicate()}")
        time.sleep(0.01)
    victims = [p for p in left_processes(patience=0) if rank_of(p) == 1]
    check(len(victims) == 1, "one process is rank 1")
    os.kill(victims[0], signal.SIGKILL)
    killed = time.monotonic()
    out, err = launcher.communicate(timeout=60)
    return launcher.returncode, out + err, time.monotonic() - killed


def resumed(name, job, workers, **changes):
    report = train(job, workers, "--resume", **changes)
    check(report["first_step"] > 0 and report["steps"] == STEPS,
          f"{name} goes on after step {report['first_step']} to step {STEPS}")
    return report


reference = train(job_with_checkpoints("undisturbed"), 3)

slow = job_with_checkpoints("killed", wait=40)
code, text, took = kill_in_mid_epoch(slow, TEMPORARY / "killed")
print(text)
check(code == 3, f"the run ends with exit code {code}")
check(re.search(r"rank 1\b.*(killed|lost|died|gone|ended)", text), "the survivors name rank 1")
check(took < 15, f"it is over {took:.1f} s after the kill")
check(not left_processes(), "no worker stays behind")
done = len(step_folders(TEMPORARY / "killed"))
check(done * 4 < STEPS, "it was killed in the middle")

for name in ("torn", "two"):
    subprocess.run(["cp", "-r", TEMPORARY / "killed", TEMPORARY / name], check=True)

check_same_weights(reference, resumed("the killed run", slow, 3),
                   "the resumed run and one that was never disturbed")

complete = [f for f in step_folders(TEMPORARY / "torn") if (f / "index.json").exists()]
file = sorted(complete[-1].glob("*.safetensors"))[0]
os.truncate(file, file.stat().st_size - 100)
torn_job = job_with_checkpoints("torn", wait=40)  # layers are kept on resume
loud = shoal("train", torn_job, "-n", 3, "--resume", "--set", f"train.steps={STEPS - 20}",
             "--set", "checkpoint.every_steps=0")
check(complete[-1].name in loud.stdout + loud.stderr, f"{complete[-1].name} is named and skipped")
report = resumed("the run with a truncated checkpoint", torn_job, 3)
check_same_weights(reference, report, "after truncating the newest checkpoint, too")

report = resumed("the run on two workers", job_with_checkpoints("two", wait=40), 2)
check_losses_agree({"loss": reference["loss"][report["first_step"]:]}, report, 1e-9,
                   "2 workers instead of 3")

stages = job_with_checkpoints("stages", parallel={"mesh": {"pipe": 2}}, pipeline={"cuts": [3]})
of_two = train(stages, 2)
one = job_with_checkpoints("stages", parallel={"mesh": {"pipe": 1}})
of_one = train(one, 1, "--resume")
check(of_one["first_step"] == STEPS and of_one["loss"] == [], "nothing is left to train")
check_same_weights(of_two, of_one, "a checkpoint of two stages in one")
half = step_folders(TEMPORARY / "stages")[-2]
subprocess.run(["rm", "-r", step_folders(TEMPORARY / "stages")[-1]], check=True)
copy = TEMPORARY / "copy"
subprocess.run(["cp", "-r", half, copy], check=True)
train(one, 1, "--resume", changes={"train.steps": STEPS - 3})
printed = shoal("checkpoint", "diff", copy, half).stdout
check("largest difference 0.000e+00" in printed, "and no file of it has changed")
finished()
