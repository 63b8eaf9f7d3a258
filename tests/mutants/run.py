#!/usr/bin/env python3
"""Breaks the product on purpose, one mutant at a time, and sees that the tests notice.

    tests/mutants/run.py [NAME ...] [--list | --check] [--jobs N]

Each tests/mutants/NAME.toml says what is wrong (`what`), which text of which file is replaced
(`edit`), and which tests of which program have to fail (`tests`, `target`). The mutants are built
in a copy of the tree, build-mutants/tree, which is kept: the next run compiles what has changed.
The untouched copy has to pass first. Exit status 0 when every mutant was caught.
"""
import argparse
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent
TREE = ROOT / "build-mutants" / "tree"
BUILD = TREE / "build"
TEST_SECONDS = 300  # a mutant that hangs is caught too


class Failed(Exception):
    pass


def run(command, seconds=None, **more):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=seconds, **more)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        return None, f"still running after {seconds} s"


def copy_tree():
    """Files that git knows or would take. Equal ones keep their times: they are not built again."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, check=True, capture_output=True).stdout
    wanted = {os.fsdecode(name) for name in listed.split(b"\0") if name}
    wanted = {name for name in wanted if (ROOT / name).is_file()}
    for name in sorted(wanted):
        content, target = (ROOT / name).read_bytes(), TREE / name
        if target.is_file() and target.read_bytes() == content:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod((ROOT / name).stat().st_mode)
    for file in TREE.rglob("*"):
        name = file.relative_to(TREE).as_posix()
        if file.is_file() and name not in wanted and not name.startswith(("build/", ".venv/")):
            file.unlink()
    # At the same place relative to the tree as in the original, so that ccache knows the files.
    if (ROOT / ".venv").is_dir() and not (TREE / ".venv").exists():
        (TREE / ".venv").symlink_to(ROOT / ".venv")


def configure():
    torch = os.environ.get("TORCH_PREFIX") or next(
        map(str, TREE.glob(".venv/lib/python3*/site-packages/torch")), None)
    if not torch:
        raise Failed("there is no LibTorch: run `make setup` or give TORCH_PREFIX")
    code, output = run(["cmake", "-S", str(TREE), "-B", str(BUILD), "-G", "Ninja",
                        "-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_PREFIX_PATH={torch}"])
    if code != 0:
        raise Failed(f"the copy of the tree cannot be configured:\n{output}")


def build(target, jobs):
    code, output = run(["cmake", "--build", str(BUILD), "-j", str(jobs), "--target", target])
    if code != 0:
        raise Failed(f"{target} does not build:\n{output[-4000:]}")


def test(target, tests):
    """Exit status of the tests, None when they hang, and what they printed."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    code, output = run([str(BUILD / "bin" / target), f"--gtest_filter={tests}", "--gtest_brief=1"],
                       TEST_SECONDS, cwd=TREE, env=environment)
    if "0 tests from 0 test suites ran" in output:
        raise Failed(f"{target} has no tests called {tests}")
    return code, output


def misfits(mutants):
    """Edits that do not fit the sources any more, without building anything."""
    faults = []
    for name, mutant in mutants.items():
        for edit in mutant["edit"]:
            if (ROOT / edit["file"]).read_text().count(edit["find"]) != 1:
                faults.append(f"{name}: {edit['file']} has not exactly one place that reads\n"
                              f"{edit['find']}")
    return faults


class Mutated:
    """The edits of a mutant while the block lasts."""

    def __init__(self, mutant):
        self.before = {}
        for edit in mutant["edit"]:
            file = TREE / edit["file"]
            text = self.before.setdefault(file, file.read_text())
            if text.count(edit["find"]) != 1:
                raise Failed(f"{edit['file']} has not exactly one place that reads\n{edit['find']}")
        self.edits = mutant["edit"]

    def __enter__(self):
        for edit in self.edits:
            file = TREE / edit["file"]
            file.write_text(file.read_text().replace(edit["find"], edit["replace"]))

    def __exit__(self, *_):
        for file, text in self.before.items():
            file.write_text(text)


def first_failure(output):
    named = [line.split("]", 1)[1].strip() for line in output.splitlines() if "[  FAILED  ]" in line]
    return named[0].split(" (")[0] if named else "the program ended early"


def try_mutant(mutant, jobs):
    """How it was caught, or None when it survived."""
    with Mutated(mutant):
        build(mutant["target"], jobs)
        code, output = test(mutant["target"], mutant["tests"])
    if code == 0:
        return None
    return "hangs" if code is None else first_failure(output)


def sound(target, tests, jobs):
    """Whether the untouched tree passes: else a failure says nothing about a mutant."""
    build(target, jobs)
    code, output = test(target, tests)
    if code != 0:
        print(f"the untouched tree fails {target} {tests}:\n{output[-4000:]}")
    return code == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="mutants; default: all")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--check", action="store_true", help="only see that all edits fit")
    parser.add_argument("--jobs", type=int, default=2, help="compilers at once")
    asked = parser.parse_args()
    mutants = {file.stem: tomllib.loads(file.read_text()) for file in sorted(FOLDER.glob("*.toml"))}
    if unknown := [name for name in asked.names if name not in mutants]:
        raise Failed(f"there is no mutant {', '.join(unknown)}: --list names them")
    if asked.names:
        mutants = {name: mutants[name] for name in asked.names}
    if asked.list:
        for name, mutant in mutants.items():
            print(f"{name:32} {mutant['what']}")
        return 0
    if asked.check:
        faults = misfits(mutants)
        print("\n".join(faults) or f"{len(mutants)} mutants fit the sources")
        return 1 if faults else 0
    TREE.mkdir(parents=True, exist_ok=True)
    copy_tree()
    configure()
    problems = 0
    baseline = {}
    for name, mutant in mutants.items():
        start = time.monotonic()
        try:
            named = mutant["target"], mutant["tests"]
            if named not in baseline:
                baseline[named] = sound(*named, asked.jobs)
            if not baseline[named]:
                raise Failed("its tests fail without it")
            how = try_mutant(mutant, asked.jobs)
            word = f"caught by {how}" if how else "SURVIVED"
        except Failed as failure:
            how, word = None, f"NOT TRIED: {failure}"
        problems += how is None
        print(f"{name}: {word} ({time.monotonic() - start:.0f} s)", flush=True)
    print(f"{len(mutants) - problems} of {len(mutants)} mutants caught")
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"mutants: {failure}")
