#!/usr/bin/env python3
"""Runs PyTorch's own DistributedTest on the backend "shoal". Usage: run.py [WORLD...]  (default 2 3 4)

The suite decides by the backend's name which cases it has, so it runs in passes: "plain" under the
name shoal; "gloo" and "mpi" while it believes that name, which adds what it asks of these backends.
World 3 runs also with TORCH_DISTRIBUTED_DEBUG=DETAIL. Cases that no plugin can pass are listed with
the reason; any other failure, and any of these that passes, is reported and ends with exit code 1.
"""
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
NO_MONITORED = "torch.distributed.monitored_barrier refuses every name but gloo before it gets here"
IMPOSSIBLE = {
    "test_ddp_logging_data_cpu": "wants the backend's name, and PyTorch calls every plugin 'custom'",
    "test_monitored_barrier_failure_order": NO_MONITORED,
    "test_monitored_barrier_gloo": NO_MONITORED,
    "test_monitored_barrier_gloo_subgroup": NO_MONITORED,
    "test_monitored_barrier_wait_all_ranks": NO_MONITORED,
}


def run(kind, world, detail):
    environment = dict(os.environ)
    if detail:
        environment["TORCH_DISTRIBUTED_DEBUG"] = "DETAIL"
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, HERE / "cases.py", kind, str(world)],
        env=environment, capture_output=True, text=True, timeout=1800,
    )
    lines = done.stdout.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        raise SystemExit(f"pass {kind}, world {world}: no result\n{done.stderr[-3000:]}")
    outcomes = json.loads(lines[-1])
    if any(case["outcome"] == "failed" and name not in IMPOSSIBLE
           for name, case in outcomes.items()):
        print(done.stderr[-20000:], file=sys.stderr)  # what each rank said
    return outcomes, time.monotonic() - begun


def report(world, detail):
    """Prints one world; returns how many cases ended as they should not."""
    passes = ["plain"] if world == 2 else ["gloo", "mpi"]
    outcomes = {}
    seconds = 0
    for kind in passes:
        found, took = run(kind, world, detail)
        seconds += took
        for name, case in found.items():
            # A case counts as passed only when it passed in each pass that has it.
            if case["outcome"] != "skipped" and outcomes.get(name, {}).get("outcome") != "failed":
                outcomes[name] = case
    passed = sum(case["outcome"] == "passed" for case in outcomes.values())
    print(f"world {world}{' DETAIL' if detail else ''}: {passed} of {len(outcomes)} cases pass "
          f"(passes: {', '.join(passes)}; {seconds:.0f} s)", flush=True)
    wrong = 0
    for name, case in sorted(outcomes.items()):
        failed = case["outcome"] == "failed"
        if failed and name in IMPOSSIBLE:
            print(f"  {name}: {IMPOSSIBLE[name]}")
        elif failed:
            wrong += 1
            print(f"  FAILED {name}\n{case['why']}")
        elif name in IMPOSSIBLE:
            wrong += 1
            print(f"  {name} passes now: take it off the list")
    return wrong


def main():
    worlds = [int(world) for world in sys.argv[1:]] or [2, 3, 4]
    wrong = sum(report(world, detail=False) for world in worlds)
    if 3 in worlds:
        wrong += report(3, detail=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
