#!/usr/bin/env python3
"""Blocks that wait for known times: the simulated step takes as long as the measured one, within 5 %."""
import re

from support import check, finished, shoal, small_job, train

WAITS = [{"wait": 60, "backward": 100}, {"wait": 90, "backward": 80},
         ["flatten", {"linear": 10}, {"wait": 75, "backward": 120}]]


def expected_ms(job, workers):
    printed = shoal("plan", job, "-n", workers).stdout
    return float(re.search(r"a step is expected to take ([\d.]+) ms", printed).group(1))


def compare(name, workers, mesh, **pipeline):
    job = small_job(name, model={"layers": WAITS}, train={"steps": 4}, parallel={"mesh": mesh},
                    pipeline=pipeline)
    expected = expected_ms(job, workers)
    measured = 1e3 * min(train(job, workers)["step_seconds"]["all"])
    check(abs(measured / expected - 1) < 0.05,
          f"{name}: {expected:.1f} ms expected, {measured:.1f} ms measured")


compare("one worker", 1, {"data": 1})
compare("data parallel", 2, {"data": 2})
compare("GPipe", 3, {"pipe": 3}, microbatches=3, schedule="gpipe", cuts=[1, 2])
compare("vanilla", 3, {"pipe": 3}, microbatches=2, schedule="vanilla", cuts=[1, 2])
compare("GPipe on two stages", 2, {"pipe": 2}, microbatches=4, schedule="gpipe", cuts=[1])
finished()
