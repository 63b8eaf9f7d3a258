#!/usr/bin/env python3
"""Recomputation changes memory and no bit; nothing goes back below a frozen prefix."""
import re

from support import check, check_same_weights, fail, finished, shoal, small_job, train, train_all

BLOCKS = [["flatten", {"linear": 400}]] + [
    ["relu", {"linear": 400}, "tanh", {"dropout": 0.1}] for _ in range(7)] + [{"linear": 10}]


def recompute():
    job = small_job("deep", model={"layers": BLOCKS}, train={"batch": 400, "steps": 4})
    kept, *again = train_all([((job, 2), {"changes": {"recompute.mode": mode}})
                              for mode in ("none", "all", "sqrt")])
    for mode, report in zip(("all", "sqrt"), again):
        check_same_weights(kept, report, f"recompute {mode} and none")
        check(report["loss"] == kept["loss"], f"recompute {mode}: the same losses")
        for rank, (less, more) in enumerate(zip(report["peak_tensor_bytes"],
                                                kept["peak_tensor_bytes"])):
            check(less < more, f"recompute {mode}, rank {rank}: {less} bytes instead of {more}")


def operations(printed):
    return re.findall(r"^ *\d+  (\S+) ", printed, re.MULTILINE)


def frozen():
    job = small_job("frozen", model={"layers": BLOCKS}, train={"steps": 3})
    for words in ([], ["--set", "recompute.mode=\"sqrt\""]):
        names = operations(shoal("plan", job, "-n", 2, "--no-costs", "--set", "freeze.blocks=3",
                                 *words).stdout)
        backward = {int(m[1]) for name in names if (m := re.fullmatch(r"B(\d+)", name))}
        forward = {int(m[1]) for name in names if (m := re.fullmatch(r"F(\d+)", name))}
        if not backward:
            fail(f"no backward operation is printed: {names}")
        check(min(backward) == 3 and forward == set(range(9)),
              f"frozen below block 3 {words}: backward of {sorted(backward)}, forward of all")
    report = train(job, 2, changes={"freeze.blocks": 3})
    free = train(job, 2)
    check(report["loss"][0] == free["loss"][0], "a frozen prefix computes the same first loss")
    check(report["loss"][2] != free["loss"][2], "and its blocks are not trained")


recompute()
frozen()
finished()
