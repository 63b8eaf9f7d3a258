#!/usr/bin/env python3
"""The bytes that ranks count as sent in an all_reduce are what the schedules say, to the byte.

S bytes on each of n ranks: ring and two_shot send 2(n-1)S in all, 2(n-1)/n S from each rank where
all divides; the textbook's hop_by_hop sends 2(n-1)S in all over its chain; the others are
compared with `shoal comm plan`. What is small, two_shot sends to everybody at once: (n-1)S from
each rank, up to 2 KiB in shared memory, and over tcp up to 32 KiB to all others together.
"""
import json
import re

from support import TEMPORARY, check, comm_tests, fail, finished, shoal

out, code = comm_tests("*Counters.*", SHOAL_SHOW_COUNTS=1)
check(code == 0, "what is counted is what the schedules move")
rows = [(engine, algorithm, int(n), 4 * int(elements), [int(b) for b in sent.split()])
        for engine, algorithm, n, elements, sent in re.findall(
            r"^counted (\w+) (\w+) (\d+) ranks (\d+) x float32: ([\d ]+)$", out, re.M)]
check(len(rows) == (3 * 9 + 3) * 5 * 7 + 3 * 3 * 7, f"{len(rows)} cases: engines, algorithms, ranks, lengths")


OVER_FRAMES = ("tcp", "hierarchical", "mpi")


def in_one_shot(engine, n, size):
    return size * (n - 1) <= 32768 if engine in OVER_FRAMES else size <= 2048


def planned(algorithm, n, size):
    file = TEMPORARY / "plan.json"
    shoal("comm", "plan", "--algorithm", algorithm, "-n", n, "--elements", size // 4,
          "--json", file)
    plan = json.loads(file.read_text())
    by_rank = [0] * n
    for transfer in plan["transfers"]:
        by_rank[transfer["from"]] += transfer["bytes"]
    if by_rank != plan["bytes_from_rank"] or sum(by_rank) != plan["bytes"]:
        fail(f"{algorithm}, {n} ranks, {size} bytes: the plan's sums are not those of its transfers")
    return by_rank


seen = set()
for engine, algorithm, n, size, sent in rows:
    case = f"{engine}, {algorithm}, {n} ranks, {size} bytes: {sum(sent)} sent in all, {sent}"
    if algorithm == "two_shot" and in_one_shot(engine, n, size):
        right = sent == [(n - 1) * size] * n
    elif algorithm in ("ring", "two_shot", "hop_by_hop"):
        right = sum(sent) == 2 * (n - 1) * size
        # In shared memory two_shot cuts at cache lines of every chunk: 3 or 5 ranks do not get the
        # same to the byte.
        in_lines = algorithm == "ring" or engine in OVER_FRAMES or n in (2, 4, 8)
        if algorithm != "hop_by_hop" and size % (n * 65536) == 0 and in_lines:
            right = right and sent == [2 * (n - 1) * size // n] * n
        if algorithm == "hop_by_hop":  # up the chain and down again: no rank sends more than 2 S
            right = right and max(sent) <= 2 * size
    elif (algorithm, n, size) in seen or engine != "tcp":
        continue
    else:
        right = sent == planned(algorithm, n, size)
    seen.add((algorithm, n, size))
    if not right:
        check(False, case)
    if n == 3 and size == 400012:
        print(case)
check(len(seen) == 9 * (4 * 7 + 6), "every algorithm, for lengths that divide and lengths that do not")
finished()
