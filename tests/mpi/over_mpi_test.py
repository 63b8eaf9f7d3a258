#!/usr/bin/env python3
"""Engine mpi over each MPI that is installed: jobs of its launcher give right results, refusals say what to do."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SHOAL = os.environ["SHOAL"]
LAUNCHERS = {"openmpi": ["mpirun.openmpi", "--oversubscribe"], "mpich": ["mpirun.mpich"]}
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
JOB = """
[model]
layers = ["flatten", {linear = 16}, "relu", {linear = 10}]
[data]
name = "random"
shape = [1, 8, 8]
size = 200
[train]
steps = 5
batch = 20
evaluate = false
"""


def run(*command, code=0):
    done = subprocess.run([str(word) for word in command], env=ENVIRONMENT, text=True, capture_output=True,
                          timeout=120)
    if done.returncode != code and code is not None:
        sys.exit(f"{' '.join(map(str, command))} exits {done.returncode} instead of {code}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def expect(condition, sentence):
    if not condition:
        sys.exit(sentence)


def weights(job, folder, *launcher, settings=()):
    report = folder / "report.json"
    run(*launcher, SHOAL, "train", job, "--quiet", "--report", report, *settings)
    return json.loads(report.read_text())["weights_sha256"]


def refusals(job):
    said = run(SHOAL, "comm", "test", "--engine", "mpi", code=2)
    expect("mpirun -n 4 shoal comm test --engine mpi" in said, f"comm test alone: {said}")
    said = run(SHOAL, "comm", "bench", "--engine", "mpi", code=2)
    expect("mpirun -n 4 shoal comm bench --engine mpi" in said, f"comm bench alone: {said}")
    said = run(SHOAL, "comm", "bench", "--against", "lam", code=2)
    expect("name openmpi, mpich or both" in said, f"an MPI that there is not: {said}")
    said = run(SHOAL, "train", job, "-n", 2, "--set", 'comm.engine="mpi"', code=2)
    expect("begin the command with mpirun" in said, f"train alone: {said}")


def one_mpi(name, job, folder, found):
    expect(all(says == "yes" for says in found[name]["cpu"].values()), f"comm engines says of {name}: {found[name]}")
    start = LAUNCHERS[name]
    said = run(*start, "-n", 3, SHOAL, "comm", "test", "--engine", "mpi", "--algorithm", "two_shot")
    expect(" 3 ranks " in said and "all right" in said, f"{name}: {said}")
    said = run(*start, "-n", 2, SHOAL, "comm", "bench", "--engine", "mpi", "--to", 4096, "--repetitions", 1)
    expect("2 workers of a job over mpi" in said and "4 KiB" in said, f"{name}: {said}")
    expect(weights(job, folder, *start, "-n", 2, settings=("--set", 'comm.engine="mpi"'))
           == weights(job, folder, *start, "-n", 2), f"{name}: other weights than over shared memory")
    said = run(SHOAL, "comm", "bench", "--against", name, "--to", 64, "--repetitions", 2)
    expect(f"{name}/shoal" in said and "of 3 sizes" in said, f"{name}: {said}")
    other = "mpich" if name == "openmpi" else "openmpi"
    said = run(*start, "-n", 2, SHOAL, "train", job, "--set", 'comm.engine="mpi"', "--set", f'comm.mpi="{other}"',
               code=None)
    expect("engine mpi needs processes that one mpirun of this MPI has started" in said
           or "cannot be used" in said, f"{name} with comm.mpi {other}: {said}")


with tempfile.TemporaryDirectory(prefix="shoal-mpi-") as where:
    folder = Path(where)
    job = folder / "job.toml"
    job.write_text(JOB)
    refusals(job)
    run(SHOAL, "comm", "engines", "--json", folder / "engines.json")
    found = json.loads((folder / "engines.json").read_text())
    tried = []
    for name, words in LAUNCHERS.items():
        absent = [says for says in found[name]["cpu"].values() if "neither beside this program" in says]
        if shutil.which(words[0]) and not absent:
            one_mpi(name, job, folder, found)
            tried.append(name)
    if not tried:
        print("no MPI with headers and launcher is installed")
        sys.exit(77)
    print("over", ", ".join(tried))
