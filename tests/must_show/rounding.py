"""How far rounding may carry a run: what one unit in the last place of the initial weights does."""
import random
import struct

from support import TEMPORARY, check, rewrite_checkpoint, step_folders, together, train

ROUNDING = 2.0 ** -24
SEEDS = (1, 2, 3)


def one_ulp(seed):
    """A change of every weight by one unit in the last place, up or down; optimizer states 0."""
    choose = random.Random(seed)

    def change(part, content):
        if part["role"] != "parameter":
            return bytes(len(content))
        if seed is None:
            return content
        values = struct.unpack(f"<{len(content) // 4}i", content)
        moved = [v + choose.choice((-1, 1)) if v & 0x7FFFFFFF else v for v in values]
        return struct.pack(f"<{len(moved)}i", *moved)

    return change


def losses_from_changed_weights(name, job, start, seed):
    folder = TEMPORARY / f"{name}-ulp-{seed}"
    folder.mkdir()
    rewrite_checkpoint(start, folder / "step-00000000", 0, one_ulp(seed))
    report = train(job, 1, "--resume", changes={"checkpoint.path": str(folder)})
    check(report["first_step"] == 0 and len(report["loss"]) == 20,
          f"{name}: 20 steps from initial weights out of a checkpoint")
    return report["loss"]


def largest_so_far(losses, others):
    """The largest difference up to each step."""
    largest, result = 0.0, []
    for a, b in zip(losses, others):
        largest = max(largest, abs(a - b))
        result.append(largest)
    return result


class Spread:
    """Of the losses of one worker, by step, when its initial weights change by one unit."""

    def __init__(self, name, job, alone):
        folder = TEMPORARY / f"{name}-start"
        train(job, 1, changes={"train.steps": 1, "train.lr": 1e-30, "checkpoint.path": str(folder)})
        start = step_folders(folder)[-1]
        self.name = name
        self.alone = alone["loss"]
        check(losses_from_changed_weights(name, job, start, None) == self.alone,
              f"{name}: unchanged initial weights give the bits of a run from the beginning")
        changed = together([lambda s=s: losses_from_changed_weights(name, job, start, s)
                            for s in SEEDS])
        self.by_step = [max(step)
                        for step in zip(*(largest_so_far(self.alone, c) for c in changed))]

    def check_losses(self, report, what):
        """At most 10 times as far from one worker's losses, at every step."""
        check(len(report["loss"]) == len(self.alone), f"{self.name}, fp32, {what}: as many steps")
        differences = largest_so_far(self.alone, report["loss"])
        # A loss is itself a float32: a unit in its last place says nothing.
        worst = max(d / max(s, ROUNDING * loss)
                    for d, s, loss in zip(differences, self.by_step, self.alone))
        check(worst <= 10, f"{self.name}, fp32, {what}: losses differ by at most {worst:.2f} times "
                           f"what one unit in the last place of the initial weights causes")
