#!/usr/bin/env python3
"""Gradient descent and SGD on a convex task: updates an epoch, and the optimum in closed form."""
import math

from support import TEMPORARY, check, finished, job_file, train

# Least squares on these rows: solved by the normal equations.
ROWS = """x1,x2,x3,y
1,2,0.5,3.1
2,1,1.5,2.4
3,4,1,7.2
4,3,2.5,5.9
5,6,2,11.3
6,5,3.5,9.8
7,8,3,15
8,7,4.5,13.1
9,1,4,6.2
10,9,0,21.5
11,2,5,7.4
12,10,1,25.3
"""
RMSE = 0.4637324998  # inputs are float32, so it is met to 1e-6
SAMPLES = 12
table = TEMPORARY / "rows.csv"
table.write_text(ROWS)


def job(name, **train_keys):
    return job_file(name, {
        "model": {"name": "linear"},
        "data": {"name": "csv", "path": str(table), "test_path": str(table), "label": "y",
                 "task": "regression"},
        "train": {"precision": "fp64", "metrics": ["rmse"], "evaluate_batch": 5} | train_keys})


descent = job("descent", batch="all", epochs=3000, lr=0.25)
for workers in (1, 2, 3):
    report = train(descent, workers)
    check(len(report["loss"]) == 3000, f"gradient descent, {workers} workers: 1 update an epoch")
    gap = abs(math.sqrt(report["loss"][-1]) - RMSE)
    check(gap < 1e-6, f"gradient descent, {workers} workers: the optimum to {gap:.0e}")
    gap = abs(report["eval"]["rmse"] - RMSE)
    check(gap < 1e-6, f"the evaluation's RMSE is that of the closed form to {gap:.0e}")

stochastic = job("sgd", batch=5, epochs=3000, lr=0.05, lr_schedule="linear")
report = train(stochastic, 2)
check(len(report["loss"]) == 3000 * math.ceil(SAMPLES / 5),
      "SGD, batches of 5 of 12 samples: 3 updates an epoch")
gap = abs(report["eval"]["rmse"] - RMSE) / RMSE
check(gap < 1e-3, f"SGD with a falling rate: the optimum to {gap:.0e} relative")
finished()
