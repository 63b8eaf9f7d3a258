#!/usr/bin/env python3
"""Engine mpi, over Open MPI and MPICH: every result is right, training gives the weights that it gives elsewhere,
a rank that is killed or silent is named and nothing hangs, and a rank that waits sleeps."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

from support import (SHOAL, TEMPORARY, check, check_same_weights, environment, fail, finished, left_processes, run,
                     skip, small_job, train)

LAUNCHERS = {"Open MPI": ["mpirun.openmpi", "--oversubscribe"], "MPICH": ["mpirun.mpich"]}
# By the variable that says which rank a process is.
RANK = {"Open MPI": b"OMPI_COMM_WORLD_RANK", "MPICH": b"PMI_RANK"}


def mpirun(name, ranks, *words, **options):
    return run([*LAUNCHERS[name], "-n", ranks, SHOAL, *words], **options)


def every_result(name):
    for ranks in (1, 2, 3, 4):
        lines = mpirun(name, ranks, "comm", "test", "--engine", "mpi").stdout.splitlines()
        right = [line for line in lines if re.match(rf"mpi +\w+ +{ranks} ranks +\d+ results  all right", line)]
        check(len(right) == len(lines) == 9, f"{name}, {ranks} ranks: nine algorithms, every result is right")


def same_weights(name, job, reference):
    report = TEMPORARY / f"{name}.json"
    mpirun(name, 2, "train", job, "--quiet", "--report", report, "--set", 'comm.engine="mpi"')
    check_same_weights(reference, json.loads(report.read_text()), f"{name} and shoal train over shared memory")


def rank_of(process, name):
    try:
        with open(f"/proc/{process}/environ", "rb") as file, open(f"/proc/{process}/cmdline", "rb") as command:
            found = re.search(rb"(?:^|\0)" + RANK[name] + rb"=(\d+)", file.read())
            return int(found[1]) if found and SHOAL.encode() in command.read() else None
    except OSError:
        return None


def end_of_job(name, job, number):
    """What a job of 3 says when rank 1 gets a signal in the middle of it, its exit code, and the seconds it took."""
    words = [*LAUNCHERS[name], "-n", "3", SHOAL, "train", str(job), "--set", 'comm.engine="mpi"']
    launcher = subprocess.Popen(words, env=environment(), cwd=TEMPORARY, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = b""
    while not re.search(rb"step \d+", said):  # it trains
        if not (more := os.read(launcher.stdout.fileno(), 4096)):
            fail(f"{name}: no training: {said.decode()}")
        said += more
    victims = [process for process in left_processes(patience=0) if rank_of(process, name) == 1]
    check(len(victims) == 1, f"{name}: one process is rank 1")
    os.kill(victims[0], number)
    struck = time.monotonic()
    said += launcher.communicate(timeout=90)[0]
    return said.decode(), launcher.returncode, time.monotonic() - struck


def a_lost_rank(name, job):
    said, code, seconds = end_of_job(name, job, signal.SIGKILL)
    # MPICH's launcher names the process, and kills the others within 60 ms; they seldom get to speak.
    by_launcher = {"Open MPI": r".*process rank 1 with PID \d+.*", "MPICH": r".*PID \d+ RUNNING AT.*"}[name]
    named = re.search(by_launcher, said)
    check(code != 0 and named, f"{name}, a rank is killed: {named[0].strip() if named else said}")
    others = re.findall(r"error: (rank 1 .*)", said)
    check(others or name == "MPICH", f"{name}, the others: {others or 'killed before they could speak'}")
    check(seconds < 5, f"{name}: all is over after {seconds:.1f} s")
    check(not left_processes(), f"{name}: no process stays behind")
    said, code, seconds = end_of_job(name, job, signal.SIGSTOP)
    named = re.search(r"error: .*rank 1 .*", said)
    check(code != 0 and named, f"{name}, a rank is silent: {named[0].strip() if named else said}")
    check(2 < seconds < 20, f"{name}: found out at the deadline of 2 s, and over after {seconds:.1f} s")
    for process in left_processes(patience=3):  # stopped, it hears no other signal
        if rank_of(process, name) == 1:
            os.kill(process, signal.SIGKILL)


installed = [name for name, words in LAUNCHERS.items() if shutil.which(words[0])]
if not installed:
    skip("neither Open MPI nor MPICH is installed")
job = small_job("job")
long_job = small_job("long", train={"steps": 100000}, comm={"collective_seconds": 2})
reference = train(job, 2)
for name in installed:
    every_result(name)
    same_weights(name, job, reference)
    a_lost_rank(name, long_job)
finished()
