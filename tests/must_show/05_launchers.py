#!/usr/bin/env python3
"""Every launcher starts the same training: shoal, torchrun, Open MPI, MPICH, and two hosts."""
import json
import shutil

from support import (REPOSITORY, SHOAL, TEMPORARY, check_same_weights, finished,
                     lacks_for_two_hosts, run, small_job, train, train_on_two_hosts)

JOB = small_job("job")
REFERENCE = train(JOB, 2)
TORCHRUN = REPOSITORY / ".venv/bin/torchrun"

LAUNCHERS = {
    "shoal run": [SHOAL, "run", "-n", 2, "--"],
    "torchrun": [TORCHRUN, "--no-python", "--nproc-per-node", 2],
    "Open MPI": ["mpirun.openmpi", "--oversubscribe", "-n", 2],
    "MPICH": ["mpiexec.hydra", "-n", 2],
}

skipped = []
for name, command in LAUNCHERS.items():
    if not shutil.which(command[0]):
        skipped.append(f"{name} is not installed")
        continue
    report = TEMPORARY / f"{name.replace(' ', '-')}.json"
    run([*command, SHOAL, "train", JOB, "--quiet", "--report", report])
    check_same_weights(REFERENCE, json.loads(report.read_text()), f"{name} and shoal train")

if lacking := lacks_for_two_hosts():
    skipped.append(lacking)
else:
    check_same_weights(REFERENCE, train_on_two_hosts(JOB, "--report"),
                       "two launchers in two network namespaces and shoal train")
finished()
if skipped:
    print("the rest passed; " + "; ".join(skipped))
    raise SystemExit(77)
