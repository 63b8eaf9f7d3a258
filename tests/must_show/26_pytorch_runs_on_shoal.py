#!/usr/bin/env python3
# limit: 1200 s
"""PyTorch's own DistributedTest suite passes on the backend "shoal" at world sizes 2, 3 and 4, and at
3 under TORCH_DISTRIBUTED_DEBUG=DETAIL: at world 3 at least 118 of the 123 cases that run without a
GPU, with the reason for each of the rest."""
import os
import re
import subprocess
import sys

import support

python = support.REPOSITORY / ".venv/bin/python"
package = support.REPOSITORY / "build/python"
if not (package / "shoal").is_dir():
    support.skip("the Python package is not built: it needs python3-dev and PyTorch's wheel")
subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check",
                "expecttest==0.3.0"], check=True)
done = subprocess.run([python, support.REPOSITORY / "tests/pytorch/run.py"], text=True,
                      stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(package)})
print(done.stdout)
counts = re.findall(r"^world 3(| DETAIL): (\d+) of (\d+)", done.stdout, re.MULTILINE)
assert len(counts) == 2, "world 3 did not run twice"
for _, passed, of in counts:
    assert int(passed) >= 118 and int(of) == 123, f"{passed} of {of}"
sys.exit(done.returncode)
