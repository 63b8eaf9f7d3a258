#!/usr/bin/env python3
"""kill -9 of a random rank at a random moment, 200 times: the others name it within a second.

A third of the jobs each run over shm, tcp and both (hierarchical, on two hosts), with every algorithm. Some ranks are stopped instead
of killed: silent, they are named at the deadline. The store outlives all jobs, so that each job is
also the next one after a kill. SHOAL_KILL_SEED chooses others.
"""
import os
import re

from support import check, comm_tests, finished

KILLS = 200
DEADLINE = 1000  # ms, of those who wait for a silent rank

out, code = comm_tests("KilledRanks.*",
                       SHOAL_KILLS=KILLS,
                       SHOAL_KILL_LIMIT_MS=1000,
                       SHOAL_KILL_SEED=os.environ.get("SHOAL_KILL_SEED", 1))
print(out)
tallies = {(engine, what): (int(jobs), int(longest)) for engine, what, jobs, longest in re.findall(
    r"^(\w+), ([\w ]+?): +(\d+) jobs, .* (\d+) ms at most$", out, re.MULTILINE)}
check(sum(jobs for jobs, _ in tallies.values()) == KILLS, f"{KILLS} ranks were struck")
for engine in ("shm", "tcp", "hierarchical"):
    for what in ("killed", "killed while forming", "stopped"):
        jobs, longest = tallies[engine, what]
        check(jobs >= 4, f"{engine}: {what} {jobs} times")
        waited = DEADLINE if what == "stopped" else 0
        check(longest <= waited + 1000, f"{engine}: the last survivor said so after {longest} ms")
check(code == 0, "every survivor named the rank that was struck, and no other")
finished()
