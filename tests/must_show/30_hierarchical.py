#!/usr/bin/env python3
"""Ranks on several hosts: 2 x 2 send two thirds of what a flat ring sends between hosts, to the byte
what the schedules say, and an all-reduce is faster than the ring's at every size from 4 B to 64 MiB.

Two ranks in a row count as a host; both engines then run over the same loopback.
"""
import json
import re

from support import SHOAL, TEMPORARY, check, comm_tests, finished, shoal

print(shoal("comm", "plan", "--algorithm", "hierarchical", "-n", 4).stdout)


def planned(algorithm, elements):
    """Bytes between ranks 0, 1 and 2, 3, summed over the transfers by ourselves."""
    file = TEMPORARY / "plan.json"
    shoal("comm", "plan", "--algorithm", algorithm, "-n", 4, "--ranks-per-host", 2,
          "--elements", elements, "--json", file)
    return sum(one["bytes"] for one in json.loads(file.read_text())["transfers"]
               if (one["from"] < 2) != (one["to"] < 2))


output, code = comm_tests("Hierarchical*", SHOAL_SHOW_HOSTS=1)
check(code == 0, "every result is right, on any hosts")
counted = {(algorithm, int(ranks)): (int(elements), int(sent)) for algorithm, ranks, elements, sent in
           re.findall(r"between hosts (\w+) (\d) ranks (\d+) x float32: (\d+)", output)}
for algorithm in ("ring", "hierarchical"):
    elements, sent = counted[algorithm, 4]
    check(sent == planned(algorithm, elements), f"{algorithm}: {sent} bytes went between the hosts")
share = counted["hierarchical", 4][1] / counted["ring", 4][1]
check(share <= 0.67, f"that is {share:.3f} of the ring's")


table = shoal("run", "-n", 4, "--plain-rank0", "--", SHOAL, "comm", "bench", "--ranks-per-host", 2,
              "--from", 4096, "--to", 65536).stdout
print(table)
check("4 workers of a job over hierarchical" in table and len(re.findall("^ +[0-9]+ KiB ", table, re.M)) == 3,
      "a job's workers find out by themselves that they are on two hosts, and are measured")
shoal("run", "-n", 2, "--", SHOAL, "comm", "bench", "-n", 3, expect=2)


def timed(engine, algorithm):
    file = TEMPORARY / "bench.json"
    shoal("comm", "bench", "-n", 4, "--engine", engine, "--algorithm", algorithm,
          "--ranks-per-host", 2, "--to", 2**26, "--repetitions", 1, "--json", file)
    return {one["bytes"]: one["median_seconds"] for one in json.loads(file.read_text())["sizes"]}


def median(values):
    return sorted(values)[len(values) // 2]


runs = [(timed("tcp", "ring"), timed("hierarchical", "hierarchical")) for _ in range(5)]
for size in runs[0][0]:
    ratios = [hierarchical[size] / ring[size] for ring, hierarchical in runs]
    check(median(ratios) < 1, f"{size} bytes: {median(ratios):.2f} of the flat ring's time "
          f"({min(ratios):.2f} to {max(ratios):.2f})")
finished()
