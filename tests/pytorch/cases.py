#!/usr/bin/env python3
"""PyTorch's own DistributedTest on the backend "shoal": one pass in this process, JSON on the last line.

Usage: cases.py PASS WORLD [NAME_PART...]     PASS: plain, gloo or mpi (see run.py)
"""
import json
import os
import sys
import time
import unittest

kind, world, *parts = sys.argv[1:]
del sys.argv[1:]
os.environ["WORLD_SIZE"] = world
# Which cases exist is decided by the backend's name while the suite is imported.
os.environ["BACKEND"] = "shoal" if kind == "plain" else kind
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("DISTRIBUTED_TESTS_DEFAULT_TIMEOUT", "60")
os.environ.setdefault("TEMP_DIR", "/tmp")

import torch  # noqa: E402

torch.set_num_threads(1)  # the processes are forked: this one must not have threads

import shoal  # noqa: E402, F401
from torch.testing._internal import common_distributed  # noqa: E402

for feature in ("ddp", "subgroup", "plugin"):
    common_distributed.DistTestCases.backend_feature[feature].add("shoal")

from torch.testing._internal.distributed import distributed_test as suite  # noqa: E402

# The bodies of these know only the names gloo, mpi and nccl, and do nothing for others.
KNOW_NO_PLUGIN = ("accumulate_gradients_no_sync",)
if kind != "plain":
    os.environ["BACKEND"] = "mpi"  # lifts the demand of eight ranks

init_process_group = torch.distributed.init_process_group


def init_with_shoal(*given, **named):
    if named.get("backend") == "gloo":
        named["backend"] = "shoal"
    return init_process_group(*given, **named)


class TestShoal(suite.TestDistBackend, suite.DistributedTest._DistTestBase):
    def setUp(self):
        super().setUp()
        masked = any(part in self._testMethodName for part in KNOW_NO_PLUGIN)
        suite.BACKEND = "gloo" if masked else "shoal"
        suite.dist.init_process_group = init_with_shoal if masked else init_process_group
        self._start_processes(torch.multiprocessing.get_context("fork").Process)


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.outcomes = {}

    def note(self, test, outcome, why=""):
        self.outcomes[test._testMethodName] = {
            "outcome": outcome,
            "why": why.strip()[-1500:],
            "seconds": round(time.monotonic() - self.begun, 2),
        }
        if outcome != "skipped":
            print(f"{outcome:7} {test._testMethodName}", file=sys.stderr, flush=True)

    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()

    def addSuccess(self, test):
        self.note(test, "passed")

    def addSkip(self, test, reason):
        self.note(test, "skipped", reason)

    def addFailure(self, test, err):
        self.note(test, "failed", self._exc_info_to_string(err, test))

    addError = addFailure


def main():
    names = unittest.TestLoader().getTestCaseNames(TestShoal)
    if parts:
        names = [name for name in names if any(part in name for part in parts)]
    result = Result()
    unittest.TestSuite(TestShoal(name) for name in names).run(result)
    print(json.dumps(result.outcomes))


if __name__ == "__main__":
    main()
