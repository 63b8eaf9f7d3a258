#!/usr/bin/env python3
"""An all-reduce over two channels of unequal rates at once: the vector is split as what was measured says, both
end within 10 % of each other, and as soon as was foretold for the same schedules."""
import re
from statistics import median

from support import check, comm_tests, finished

output, code = comm_tests("HybridGroups.BothChannelsEndTogether", SHOAL_RATED_REPETITIONS=5)
check(code == 0, "every result is right")
share, wanted = map(float, re.search(
    r"hybrid: ([\d.]+) of the vector over the fast channel, R/\(1\+R\) = ([\d.]+)", output).groups())
check(abs(share - wanted) < 0.03, f"{share:.3f} of the vector go over the fast channel; its rate is 2.5 times "
      f"the other's, which makes {wanted:.3f}")
foretold_fast, foretold_slow, alone = map(float, re.search(
    r"foretold: ([\d.]+) ms fast, ([\d.]+) ms slow; the fast one alone ([\d.]+) ms", output).groups())
ends = [tuple(map(float, pair)) for pair in re.findall(
    r"measured: ([\d.]+) ms fast, ([\d.]+) ms slow", output)]
check(len(ends) == 5, f"five calls, ms of both channels: {ends}")
fast, slow = (median(column) for column in zip(*ends))
apart = median(abs(a - b) / max(a, b) for a, b in ends)
check(apart < 0.1, f"the channels end {100 * apart:.1f} % apart in the median: {fast:.1f} and {slow:.1f} ms")
check(abs(fast / foretold_fast - 1) < 0.15 and abs(slow / foretold_slow - 1) < 0.15,
      f"foretold: {foretold_fast:.1f} and {foretold_slow:.1f} ms")
check(max(fast, slow) < 0.85 * alone, f"the fast channel alone would take {alone:.1f} ms")
finished()
