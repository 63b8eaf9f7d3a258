#!/usr/bin/env python3
"""What bash completes of a command line of shoal, by typing and pressing keys in a terminal; and
that zsh and fish take their scripts, where they are installed."""
import os
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHOAL = str((ROOT / os.environ.get("SHOAL", "build/bin/shoal")).resolve())
TAB, ALL = b"\t", b"\x1b*"  # complete; insert all that is possible

# shoal itself is not run: what it would get is printed.
START = """
unset HISTFILE; PS1=; PS2=; bind 'set enable-bracketed-paste off' 2>/dev/null
stty -echo columns 1000
source "$1"
shoal() { printf '<%s>' "$@"; printf ' END\\n'; }
printf 'READY\\n'
"""


def script(shell):
    return subprocess.run([SHOAL, "completion", shell], check=True, capture_output=True,
                          text=True).stdout


class Terminal:
    """bash, as somebody uses it."""

    def __init__(self, folder):
        (folder / "completion.bash").write_text(script("bash"))
        (folder / "start").write_text(START.replace("$1", str(folder / "completion.bash")))
        process, self.fd = pty.fork()
        if process == 0:
            os.chdir(folder)
            os.execvpe("bash", ["bash", "--noprofile", "--rcfile", str(folder / "start"), "-i"],
                       os.environ | {"TERM": "dumb"})
        self.read_until("READY")

    def read_until(self, mark):
        text, end = "", time.monotonic() + 20
        while mark not in text:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                sys.exit(f"FAIL: bash does not print {mark}: {text!r}")
            text += os.read(self.fd, 4096).decode(errors="replace")
        return text

    def words(self, typed, key=TAB):
        """The words that shoal gets when `typed` is completed."""
        os.write(self.fd, typed.encode() + key + b"\n")
        text = self.read_until(" END")
        return text[text.rindex("<", 0, text.index("<") + 1):text.index(" END")][1:-1].split("><")


def check(found, expected, what):
    if found != expected:
        sys.exit(f"FAIL: {what}: {found} instead of {expected}")
    print(f"ok: {what}: {' '.join(found)}")


def bash(folder):
    (folder / "job.toml").write_text("")
    (folder / "jokes.txt").write_text("")
    (folder / "runs").mkdir()
    one = Terminal(folder)
    check(one.words("shoal trai"), ["train"], "a command")
    check(one.words("shoal c", ALL), ["checkpoint", "comm", "completion"], "commands")
    check(one.words("shoal comm be"), ["comm", "bench"], "a command of a group")
    check(one.words("shoal train jo"), ["train", "job.toml"], "a job file, and no other")
    check(one.words("shoal train job.toml --rep"), ["train", "job.toml", "--report"], "an option")
    check(one.words("shoal train job.toml --no", ALL), ["train", "job.toml", "--node-rank",
                                                        "--nodes"], "the launcher's options")
    check(one.words("shoal train job.toml --mode th"), ["train", "job.toml", "--mode", "threads"],
          "the value of an option")
    check(one.words("shoal train --mode=th"), ["train", "--mode=threads"], "a value behind '='")
    check(one.words("shoal train --report jok"), ["train", "--report", "jokes.txt"],
          "any file where one is expected")
    check(one.words("shoal evaluate ru"), ["evaluate", "runs/"], "a checkpoint is a folder")
    check(one.words("shoal evaluate runs jo"), ["evaluate", "runs", "job.toml"],
          "the second argument")
    check(one.words("shoal train job.toml --set train.opti"),
          ["train", "job.toml", "--set", "train.optimizer="], "a key")
    check(one.words("shoal train --set train.optimizer=ad", ALL),
          ["train", "--set", "train.optimizer=adagrad", "adam", "adamw"], "values of a key")
    check(one.words("shoal train --set train.optimizer=sgd --set model.name=conv"),
          ["train", "--set", "train.optimizer=sgd", "--set", "model.name=convnet"],
          "another key's value")
    check(one.words("shoal train --set data.path=jok"),
          ["train", "--set", "data.path=jokes.txt"], "a key's file")
    check(one.words("shoal comm bench --engine hier"),
          ["comm", "bench", "--engine", "hierarchical"], "an engine")
    check(one.words("shoal run -n 2 -- unam"), ["run", "-n", "2", "--", "uname"],
          "a program of the system")
    check(one.words("shoal run -n 2 -- cat jok"), ["run", "-n", "2", "--", "cat", "jokes.txt"],
          "the program's files")
    check(one.words("shoal completion z"), ["completion", "zsh"], "an argument of few values")


def other(shell, folder):
    if not shutil.which(shell):
        print(f"{shell} is not installed: its script is not tried")
        return
    file = folder / f"completion.{shell}"
    file.write_text(script(shell))
    subprocess.run([shell, "-n", str(file)], check=True, timeout=60)
    print(f"ok: {shell} takes its script")
    if shell != "fish":
        return

    def offered(line):
        lines = subprocess.run([shell, "--no-config", "-c", f"source {file}; complete -C '{line}'"],
                               check=True, capture_output=True, text=True, timeout=60).stdout
        return [text.split("\t")[0] for text in lines.splitlines()]

    check(offered("shoal comm be"), ["bench"], "fish: a command of a group")
    check(offered("shoal train job.toml --mode "), ["processes", "threads"], "fish: values")
    check(offered("shoal train --set train.optimizer=ad"),
          ["train.optimizer=adagrad", "train.optimizer=adam",
           "train.optimizer=adamw"], "fish: values of a key")


with tempfile.TemporaryDirectory(prefix="shoal-completion-") as name:
    bash(Path(name))
    for shell in ("zsh", "fish"):
        other(shell, Path(name))
