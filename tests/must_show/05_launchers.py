#!/usr/bin/env python3
"""Every launcher starts the same training: shoal, torchrun, mpirun, and two hosts."""
import json
import os
import shutil
import subprocess

from support import (REPOSITORY, SHOAL, TEMPORARY, check, check_same_weights, environment, finished,
                     fail, run, shoal, small_job, train)

JOB = small_job("job")
REFERENCE = train(JOB, 2)


def weights_of(what, command, **options):
    report = TEMPORARY / f"{what.replace(' ', '-')}.json"
    run([*command, SHOAL, "train", JOB, "--quiet", "--report", report], **options)
    check_same_weights(REFERENCE, json.loads(report.read_text()), f"{what} and shoal train")


def two_namespaces():
    """Two launchers that share no network but one virtual cable."""
    names = [f"shoal{os.getpid()}{side}" for side in "ab"]
    ends = [f"sh{os.getpid()}{side}" for side in "ab"]
    system = lambda *words: subprocess.run(words, check=True)
    try:
        for name in names:
            system("ip", "netns", "add", name)
        system("ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for i, (name, end) in enumerate(zip(names, ends)):
            system("ip", "link", "set", end, "netns", name)
            system("ip", "-n", name, "addr", "add", f"10.77.0.{i + 1}/24", "dev", end)
            system("ip", "-n", name, "link", "set", end, "up")
            system("ip", "-n", name, "link", "set", "lo", "up")
        report = TEMPORARY / "namespaces.json"
        secret = TEMPORARY / "secret"
        secret.write_text("0123456789abcdef" * 2 + "\n")
        secret.chmod(0o600)
        launchers = [subprocess.Popen(
            ["ip", "netns", "exec", name, SHOAL, "train", str(JOB), "-n", "1", "--quiet",
             "--nodes", "2", "--node-rank", str(i), "--secret-file", str(secret), "--master", "10.77.0.1:29411",
             "--report", str(report if i == 0 else TEMPORARY / "unused.json")],
            env=environment(), text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for i, name in enumerate(names)]
        for launcher in launchers:
            output, _ = launcher.communicate(timeout=150)
            if launcher.returncode != 0:
                fail(f"a launcher in a namespace exits {launcher.returncode}: {output}")
        check_same_weights(REFERENCE, json.loads(report.read_text()),
                           "two launchers in two network namespaces and shoal train")
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)


skipped = []
weights_of("shoal run", [SHOAL, "run", "-n", 2, "--"])
torchrun = REPOSITORY / ".venv/bin/torchrun"
if torchrun.exists():
    weights_of("torchrun", [torchrun, "--no-python", "--nproc-per-node", 2])
else:
    skipped.append("torchrun is not installed")
if shutil.which("mpirun"):
    weights_of("mpirun", ["mpirun", "--oversubscribe", "-n", 2])
else:
    skipped.append("mpirun is not installed")
can = os.geteuid() == 0 and shutil.which("ip") and subprocess.run(
    ["ip", "netns", "list"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
if can:
    two_namespaces()
else:
    skipped.append("two network namespaces need root and ip")
finished()
if skipped:
    print("the rest passed; " + "; ".join(skipped))
    raise SystemExit(77)
