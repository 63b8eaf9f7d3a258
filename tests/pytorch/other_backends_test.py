#!/usr/bin/env python3
"""Other backends of PyTorch under shoal's groups: every operation over Gloo, on two ranks, is right."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = REPOSITORY / ".venv/bin/python"
PACKAGE = Path(os.environ["SHOAL"]).resolve().parents[1] / "python"

if __name__ == "__main__" and len(sys.argv) == 1:
    if not PYTHON.exists() or not list(PACKAGE.glob("shoal/_c10d*.so")):
        print("the Python package is not built here")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="shoal-backends-") as folder:
        environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "OMP_NUM_THREADS": "1"}
        ranks = [subprocess.Popen([PYTHON, __file__, str(rank), f"{folder}/store"], env=environment, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for rank in range(2)]
        said = [process.communicate(timeout=200)[0] for process in ranks]
        print(*said, sep="")
        sys.exit(max(process.returncode != 0 for process in ranks))

import torch.distributed as dist  # noqa: E402

import shoal  # noqa: E402

rank, store = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
faults = shoal.try_backend()
print(f"rank {rank}: {len(faults)} faults over {dist.get_backend()}", *faults, sep="\n  ")
dist.destroy_process_group()
sys.exit(1 if faults else 0)
