#!/usr/bin/env python3
"""A user's project, which knows an installed shoal only, builds a plugin; the installed command
trains its model on its data with two workers, predicts, and refuses it where it does not fit."""
import csv
import re
import shutil
from pathlib import Path

from support import (REPOSITORY, SHOAL, TEMPORARY, check, finished, run, skip, step_folders)

BUILD = Path(SHOAL).parents[1]
CONSUMER = REPOSITORY / "tests/consumer"
if not shutil.which("cmake") or not (BUILD / "CMakeCache.txt").exists():
    skip("no build folder with CMake: there is nothing to install")


def cached(name):
    return re.search(rf"^{name}:\w+=(.*)$", (BUILD / "CMakeCache.txt").read_text(), re.M)[1]


def installed(*words, expect=0):
    print("$ shoal", *words, flush=True)
    done = run([TEMPORARY / "installed/bin/shoal", *words], expect=expect)
    text = (done.stdout + done.stderr).strip().splitlines()
    print(*(f"  {line}" for line in text[-6:]), sep="\n", flush=True)
    return done


run(["cmake", "--install", BUILD, "--prefix", TEMPORARY / "installed"])
launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
run(["cmake", "-S", CONSUMER, "-B", "build", "-G", "Ninja", *launcher,
     "-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_PREFIX_PATH={TEMPORARY / 'installed'}",
     f"-DTorch_DIR={cached('Torch_DIR')}"])
run(["cmake", "--build", "build", "--target", "gates"], limit=600,
    CCACHE_TEMPDIR=TEMPORARY / "ccache")
library = TEMPORARY / "build/gates.so"
check(library.exists(), f"the consumer's plugin has {library.stat().st_size // 1024} KiB")

job = CONSUMER / "ring.toml"
given = installed("doctor", "--plugin", "build/gates.so", expect=None).stdout
check("model gates; data set ring" in given, "the doctor says what it gives")
said = installed("train", job, "-n", 2).stdout
accuracy = float(re.search(r"^test: accuracy ([0-9.]+)", said, re.M)[1])
check(said.startswith("gates: ") and accuracy > 85, f"its test accuracy is {accuracy} %")

newest = step_folders(TEMPORARY / "run")[-1].relative_to(TEMPORARY)
installed("predict", newest, job, "-n", 2, "-o", "predictions.csv")
with (TEMPORARY / "predictions.csv").open() as file:
    check(len(list(csv.DictReader(file))) == 500, "it predicts 500 samples")

# The same library, as another shoal's headers and another LibTorch's would have made it.
content = library.read_bytes()
stamp = content.index(b"shoalplg")
shoals, torches = (re.search(version, content[stamp:]) for version in
                   (rb"[0-9]+\.[0-9]+\.[0-9]+", rb"(?<=\0)2\.[0-9]+\.[0-9]+"))
others = {what: content[:stamp + at] + b"9" + content[stamp + at + 1:]
          for what, at in (("shoal", shoals.start()), ("LibTorch", torches.start()))}
for what, altered in others.items():
    (TEMPORARY / "other.so").write_bytes(altered)
    refusal = installed("train", job, "-n", 2, "--set", "model.plugin=other.so", expect=2).stderr
    check(f"other.so does not fit: it was built against {what} " in refusal and
          f"and this shoal has {what} " in refusal and refusal.count("\n") == 1,
          f"another {what} is refused in one sentence")
finished()
