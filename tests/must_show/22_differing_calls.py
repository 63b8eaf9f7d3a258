#!/usr/bin/env python3
"""Ranks that call different operations, sizes, types, reductions or roots: every rank hears both
calls, in the same words, within a second; also while another rank has not called at all."""
import re
import subprocess
from pathlib import Path

from support import SHOAL, WATCHDOG, check, environment, finished

program = Path(SHOAL).parent / "shoal_comm_test"
run = subprocess.run([program, "--gtest_filter=*DifferingCalls.*:*SizesThatDoNotFit*"], text=True,
                     timeout=WATCHDOG, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                     env=environment())
cases = re.findall(r"RUN .*AreNamedOnEveryRank/(\w+?)_(two_shot|ring)_(\d)_(\w+)\n"
                   r"within (\d+) ms: (.*)\n", run.stdout)
for engine, algorithm, size, difference, took, said in cases:
    if algorithm == "ring":
        print(f"{engine}, {size} ranks, another {difference}, after {took} ms: {said}")
check(run.returncode == 0, "all ranks name both calls")
for engine in ("memory", "shm", "tcp"):
    found = {difference for e, _, _, difference, _, _ in cases if e == engine}
    check(found == {"operation", "type", "size", "reduction", "root", "lists"},
          f"{engine}: another operation, type, size, reduction, root; lists")
check(max(int(took) for *_, took, _ in cases) < 1000, "within a second; the deadline is 90 s")
finished()
