#!/usr/bin/env python3
"""Each optimizer on 1, 2 and 3 workers: the same training in fp64, the same weights on all ranks."""
from support import check, check_losses_agree, check_same_weights, finished, small_job, train

OPTIMIZERS = {
    "sgd": {"momentum": 0.9, "nesterov": True, "lr": 0.05},
    "adam": {"lr": 0.01, "momentum": 0.0},
    "adamw": {"lr": 0.01, "momentum": 0.0, "weight_decay": 0.05, "decay_vectors": False},
    "rmsprop": {"lr": 0.003, "momentum": 0.5},
    "adagrad": {"lr": 0.05, "momentum": 0.0},
    "lamb": {"lr": 0.01, "momentum": 0.0, "weight_decay": 0.01},
    "lars": {"lr": 5.0, "momentum": 0.9, "weight_decay": 0.001},
}

for name, keys in OPTIMIZERS.items():
    job = small_job(name, train={"precision": "fp64", "optimizer": name, "clip_norm": 2.0} | keys)
    alone = train(job)
    check(min(alone["loss"][10:]) < alone["loss"][0], f"{name}: the loss falls")
    for workers in (2, 3):
        report = train(job, workers)
        check_losses_agree(alone, report, 1e-9, f"{name}, fp64, {workers} workers and 1")
    check_same_weights(report, train(job, 3, mode="threads"), f"{name}, threads and processes")
finished()
