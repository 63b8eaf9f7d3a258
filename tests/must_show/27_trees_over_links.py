#!/usr/bin/env python3
"""Packed trees on links of limited rates: 1.5 times the two-way ring on a clique of 4, measured, beside
what is foretold for the same schedules; also on links that differ, and where there is no ring."""
import json
import re
from statistics import median

from support import TEMPORARY, check, comm_tests, finished, shoal


def topology(name, ranks, links):
    path = TEMPORARY / f"{name}.toml"
    entries = "".join(f"  {{ between = [{a}, {b}], GB_per_s = {rate} }},\n" for a, b, rate in links)
    path.write_text(f"ranks = {ranks}\nlatency_us = 20\nlinks = [\n{entries}]\n")
    return path


def planned(algorithm, path):
    file = TEMPORARY / "plan.json"
    printed = shoal("comm", "plan", "--algorithm", algorithm, "--topology", path,
                    "--elements", 2**24, "--json", file).stdout
    return printed, json.loads(file.read_text())


clique = topology("clique", 4, [(a, b, 0.125) for a in range(4) for b in range(a)])
printed, trees = planned("tree", clique)
print(printed)
_, ring = planned("two_way_ring", clique)
foretold = ring["expected_seconds"] / trees["expected_seconds"]
check(abs(foretold / 1.5 - 1) < 0.01, f"a clique of 4: trees are foretold to be {foretold:.3f} times as fast "
      "as the two-way ring")
check(trees["rate"] == trees["rate_bound"], "no packing is better")
paw = topology("no_ring", 4, [(0, 1, 0.125), (1, 2, 0.125), (2, 0, 0.125), (0, 3, 0.125)])
printed, trees = planned("tree", paw)
print(printed)
check(trees["rate"] > 0.999 * 0.125e9, "where rank 3 hangs on one link, trees fill that link")
refused = shoal("comm", "plan", "--algorithm", "ring", "--topology", paw, expect=2).stderr
check("ring sends from rank 2 to rank 3" in refused, f"there is no ring: {refused.strip()}")

output, code = comm_tests("RatedLinks.CarryWhatTheScheduleSays", SHOAL_RATED_REPETITIONS=5)
check(code == 0, "every result is right")
cases = {}
for name, algorithm, expected, measured in re.findall(
        r"rated (\S+) (\S+): ([\d.]+) ms expected, measured ([\d. ]+) ms", output):
    times = [float(one) for one in measured.split()]
    cases[name, algorithm] = median(times)
    check(len(times) == 5 and abs(median(times) / float(expected) - 1) < 0.1,
          f"{name}, {algorithm}: {expected} ms foretold, {median(times):.1f} measured "
          f"({min(times):.1f} to {max(times):.1f})")
check(len(cases) == 6, "all cases were timed")
faster = cases["clique", "two_way_ring"] / cases["clique", "tree"]
check(abs(faster / 1.5 - 1) < 0.1, f"a clique of 4: trees are measured {faster:.2f} times as fast as the "
      "two-way ring")
faster = cases["uneven", "two_way_ring"] / cases["uneven", "tree"]
check(faster > 1.2, f"links that differ: {faster:.2f} times")
finished()
