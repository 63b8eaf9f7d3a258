#!/usr/bin/env python3
"""A rank that waits a second for a late one uses less than 50 ms of CPU, over every engine."""
import re

from support import check, comm_tests, finished

output, code = comm_tests("*/Waiting.CostsLittle/*", SHOAL_SHOW_WAITS=1)
check(code == 0, "nobody waits in vain")
rows = re.findall(r"waited (\w+) (\w+) (\w+): ([\d.]+) ms of CPU in (\d+) ms", output)
check(len(rows) == (5 * 2 + 1) * 2, f"{len(rows)} cases: engines, algorithms, operations")
for engine, algorithm, operation, cpu, waited in rows:
    check(float(cpu) < 50 and waited == "1000",
          f"{engine}, {operation} ({algorithm}): {cpu} ms of CPU in {waited} ms")
finished()
