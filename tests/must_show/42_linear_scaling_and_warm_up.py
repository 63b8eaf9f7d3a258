#!/usr/bin/env python3
"""A batch 8 times the base on Fashion-MNIST: as good with linear scaling and warm-up, not without."""
import json
from pathlib import Path

from support import SHOAL, TEMPORARY, check, finished, job_file, run, settings, skip

if not Path("/usr/share/datasets/fashion-mnist").exists():
    skip("Fashion-MNIST is not there: install dataset-fashion-mnist")

BASE = 64
EPOCHS = 4
job = job_file("fashion", {
    "": {"seed": 3},
    "model": {"name": "mlp", "hidden": [256, 256]},
    "train": {"epochs": EPOCHS, "batch": BASE, "momentum": 0.9, "lr": 0.04,
              "lr_schedule": "cosine", "evaluate_batch": 1000}})


def accuracy(name, **changes):
    """None when the run diverges."""
    report = TEMPORARY / f"{name}.json"
    done = run([SHOAL, "train", job, "-n", 2, "--quiet", "--report", report,
                *settings({f"train.{key}": value for key, value in changes.items()})], expect=None)
    if done.returncode == 5:  # a loss that is not finite
        return None
    check(done.returncode == 0, f"{name} ends well {done.stderr[-300:]}".strip())
    return json.loads(report.read_text())["eval"]["accuracy"]


scaled = {"batch": 8 * BASE, "lr_scaling": "batch", "lr_base_batch": BASE}
two_epochs = 2 * 60000 // (8 * BASE)
small = accuracy("small batch")
warm = accuracy("8 x the batch with warm-up", warmup_steps=two_epochs, warmup_from="lr", **scaled)
cold = accuracy("8 x the batch without warm-up", **scaled)
check(warm is not None and warm > small - 0.01,
      f"batch {8 * BASE} with warm-up reaches {100 * warm:.2f} %, batch {BASE} {100 * small:.2f} %")
check(cold is None or cold < warm - 0.005,
      "without warm-up it " + ("diverges" if cold is None else f"reaches {100 * cold:.2f} %"))
finished()
