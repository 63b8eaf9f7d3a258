"""The gradient of a job's first step, read from checkpoints."""
import math

from support import TEMPORARY, read_weights, step_folders, train

RATE = 2.0 ** 20


def gap(weights, others):
    """Norm of the difference over the norm, all parameters together."""
    squared = difference = 0.0
    for name, values in weights.items():
        squared += math.fsum(v * v for v in values)
        difference += math.fsum((v - o) ** 2 for v, o in zip(values, others[name]))
    return math.sqrt(difference / squared)


def weights_after_one_step(job, workers, rate):
    """After one step of plain SGD; a rate of 1e-30 leaves the initial weights."""
    folder = TEMPORARY / f"{job.stem}-{workers}-{rate:g}"
    train(job, workers, mode="threads",
          changes={"train.steps": 1, "train.momentum": 0.0, "train.lr": rate,
                   "checkpoint.path": str(folder)})
    return read_weights(step_folders(folder)[-1])


def first_gradient(job, workers, start):
    """A step at a huge rate leaves -rate x gradient, but for a rounding."""
    after = weights_after_one_step(job, workers, RATE)
    return {name: [(v - s) / RATE for v, s in zip(values, start[name])]
            for name, values in after.items()}
