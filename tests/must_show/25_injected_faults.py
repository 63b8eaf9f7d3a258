#!/usr/bin/env python3
"""1,000 scenarios of injected faults end in the right result or the right error, in time."""
import os
import re

from support import check, comm_tests, finished

SCENARIOS = 1000
OVER_TCP = ("tcp", "hierarchical")

out, code = comm_tests("InjectedFaults.*",
                       SHOAL_FAULT_SCENARIOS=SCENARIOS,
                       SHOAL_FAULT_LIMIT_MS=1000,
                       SHOAL_FAULT_SEED=os.environ.get("SHOAL_FAULT_SEED", 1))
print(out)
tallies = re.findall(r"^(\w+), ([\w ]+?) +(\d+) scenarios, +(\d+) struck, +(\d+) ended in an error",
                     out, re.MULTILINE)
check(sum(int(played) for _, _, played, _, _ in tallies) == SCENARIOS,
      f"{SCENARIOS} scenarios were played")
for kind in ("delay", "drop", "short write", "duplicate", "reset", "corrupt byte", "kill", "stall"):
    struck = [int(count) for engine, name, _, count, _ in tallies if engine in OVER_TCP and name == kind]
    check(len(struck) == 2 and min(struck) >= 15, f"{kind}: struck {sum(struck)} times")
check({engine for engine, *_ in tallies} == {"memory", "shm", *OVER_TCP}, "over every engine")
check(code == 0, "every one ended in the right result, or the right error in time")
finished()
