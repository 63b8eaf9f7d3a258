#!/usr/bin/env python3
"""`shoal comm tune` writes a table; a job that reads it chooses by size what was measured fastest, and the
result is that algorithm's to the bit. Workers whose tables differ are told so."""
import json
import re

from support import TEMPORARY, check, comm_tests, finished, shoal

table = TEMPORARY / "choices.toml"
table.unlink(missing_ok=True)
printed = shoal("comm", "tune", "--engine", "tcp", "--operation", "all_reduce", "-n", "2,4",
                "--to", 2**20, "--rounds", 3, "--output", table).stdout
print(printed)
print(table.read_text())
rows = re.findall(r"^ +([\d.]+ \w+)((?:  +[\d.]+ \w+){6})  (\w+)$", printed, re.M)
check(len(rows) == 2 * 10, "sizes from 4 B to 1 MiB, of 2 and 4 ranks, each of six algorithms")
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}
ALGORITHMS = ("two_shot", "ring", "recursive_doubling", "rabenseifner", "double_tree", "two_way_ring")
for size, times, chosen in rows:
    seconds = [float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+) (\w+)", times)]
    own = seconds[ALGORITHMS.index(chosen)]
    check(own <= 1.06 * min(seconds), f"{size}: {chosen} takes {own / min(seconds):.2f} of the fastest's time")

output, code = comm_tests("Choices.*:Tune.*")
check(code == 0, "groups add in the order of the algorithm that the table names, for every size")

file = TEMPORARY / "bench.json"
shoal("comm", "bench", "--engine", "tcp", "-n", 4, "--choices", table, "--to", 2**20, "--json", file)
check(json.loads(file.read_text())["algorithm"] == "automatic", "the table serves comm bench")
wrong = TEMPORARY / "wrong.toml"
wrong.write_text(table.read_text().replace("tcp", "pigeon", 1))
refused = shoal("comm", "bench", "--engine", "tcp", "--choices", wrong, expect=2).stderr
check("needs an engine" in refused, refused.strip())
finished()
