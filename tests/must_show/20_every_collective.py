#!/usr/bin/env python3
"""Every operation, engine and algorithm gives its serial result; schedules cost what they say."""
import re

from support import check, finished, shoal

ENGINES = ("memory", "shm", "tcp", "hierarchical")
ALGORITHMS = ("two_shot", "ring", "recursive_doubling", "rabenseifner", "double_tree",
              "hop_by_hop", "two_way_ring", "tree", "hierarchical")


def try_all(ranks):
    lines = shoal("comm", "test", "-n", ranks).stdout.splitlines()
    seen = [re.fullmatch(rf"(\w+) +(\w+) +{ranks} ranks +(\d+) results  all right", line)
            for line in lines]
    check(all(seen) and len(seen) == len(ENGINES) * len(ALGORITHMS),
          f"{ranks} ranks: {len(seen)} pairs of engine and algorithm, "
          f"{sum(int(one[3]) for one in seen)} results, all right")
    check({(one[1], one[2]) for one in seen} == {(e, a) for e in ENGINES for a in ALGORITHMS},
          f"{ranks} ranks: every engine with every algorithm")


def sent(algorithm, ranks, elements):
    """Bytes in all, summed over the printed schedule by ourselves."""
    text = shoal("comm", "plan", "--algorithm", algorithm, "-n", ranks,
                 "--elements", elements).stdout
    chunks = int(re.search(r"(\d+) chunks?$", text, re.MULTILINE)[1])

    def border(chunk):
        return chunk * (elements // chunks) + min(chunk, elements % chunks)

    total = 0
    for first, last in re.findall(r"\d+>\d+ [+=]\[(\d+)(?:-(\d+))?\]", text):
        total += border(int(last or first) + 1) - border(int(first))
    return total


def schedules():
    for ranks in (2, 3, 4, 5, 7, 8):
        for elements in (0, 1, 1000003):
            for algorithm in ("two_shot", "ring", "hop_by_hop"):
                check(sent(algorithm, ranks, elements) == 2 * (ranks - 1) * elements,
                      f"{algorithm} of {ranks} moves 2 (n-1) x {elements} elements in all")


schedules()
for count in (1, 2, 3, 4, 5, 7, 8):
    try_all(count)
finished()
