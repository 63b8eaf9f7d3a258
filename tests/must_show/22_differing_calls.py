#!/usr/bin/env python3
"""Ranks that call different operations, sizes, types, reductions or roots: every rank hears both
calls, in the same words, within a second; also while another rank has not called at all."""
import re

from support import check, comm_tests, finished

out, code = comm_tests("*DifferingCalls.*:*SizesThatDoNotFit*")
cases = re.findall(r"RUN .*AreNamedOnEveryRank/(\w+?)_(two_shot|ring|hierarchical)_(\d)_(\w+)\n"
                   r"within (\d+) ms: (.*)\n", out)
for engine, algorithm, size, difference, took, said in cases:
    if algorithm == "ring":
        print(f"{engine}, {size} ranks, another {difference}, after {took} ms: {said}")
check(code == 0, "all ranks name both calls")
for engine in ("memory", "shm", "tcp", "hierarchical"):
    found = {difference for e, _, _, difference, _, _ in cases if e == engine}
    check(found == {"operation", "type", "size", "reduction", "root", "lists"},
          f"{engine}: another operation, type, size, reduction, root; lists")
check(max(int(took) for *_, took, _ in cases) < 1000, "within a second; the deadline is 90 s")
finished()
