#!/usr/bin/env python3
"""Weights go out to Python and come in from it; a model predicts there what it predicts here."""
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "must_show"))
from support import (REPOSITORY, TEMPORARY, check, read_weights, run, settings, shoal, small_job,
                     train)

PYTHON = os.environ.get("SHOAL_PYTHON", str(REPOSITORY / ".venv/bin/python"))
MODEL = {"layers": ["flatten", {"linear": 12}, "tanh", {"linear": 10}]}

# In PyTorch: reads both exports, compares them, computes the model on the inputs, and writes the
# weights doubled.
READER = """
import sys, json, numpy, torch, safetensors.torch
from pathlib import Path
folder = Path(sys.argv[1])
weights = safetensors.torch.load_file(folder / "w.safetensors")
arrays = {p.stem: numpy.load(p) for p in (folder / "npy").glob("*.npy")}
assert sorted(weights) == sorted(arrays), (sorted(weights), sorted(arrays))
for name, array in arrays.items():
    assert numpy.array_equal(weights[name].numpy(), array), name
names = sorted(weights)
x = torch.from_numpy(numpy.loadtxt(folder / "inputs.csv", delimiter=",", dtype="float32"))
(w1, b1), (w2, b2) = [(weights[n], weights[n.replace("weight", "bias")])
                      for n in names if n.endswith("weight")]
outputs = torch.tanh(x @ w1.T + b1) @ w2.T + b2
found = torch.from_numpy(numpy.load(folder / "outputs.npy"))
assert found.dtype == torch.float32 and found.shape == outputs.shape, (found.shape, outputs.shape)
assert torch.allclose(found, outputs, atol=1e-5), (found - outputs).abs().max()
safetensors.torch.save_file({n: (2 * w).to(torch.float64) for n, w in weights.items()},
                            folder / "doubled.safetensors")
print(json.dumps({n: [float(v) for v in w.flatten()] for n, w in weights.items()}))
"""


def table(name, rows, labels):
    file = TEMPORARY / f"{name}.csv"
    with file.open("w") as out:
        for i in range(rows):
            values = [(i * 7 + k * 3) % 11 - 5 for k in range(4)]
            out.write(",".join(map(str, values + ([sum(values) % 10] if labels else []))) + "\n")
    return file


def python_has(*modules):
    if not Path(PYTHON).exists():
        return False
    tried = subprocess.run([PYTHON, "-c", "import " + ", ".join(modules)], capture_output=True)
    return tried.returncode == 0


data = {"name": "csv", "path": str(table("train", 200, labels=True)), "normalize": "none",
        "classes": 10, "test": 0.25}
job = small_job("csv", model=MODEL, data=data,
                checkpoint={"path": str(TEMPORARY / "run"), "every_steps": 10})
first = train(job, 2)
checkpoint = TEMPORARY / "run/step-00000020"

shoal("checkpoint", "export", checkpoint, "-o", "w.safetensors")
shoal("checkpoint", "export", checkpoint, "--format", "npy", "-o", "npy")
done = shoal("checkpoint", "export", checkpoint, "--format", "npy", "-o", "npy", expect=2)
check("is there already" in done.stderr, done.stderr.strip())

inputs = table("inputs", 23, labels=False)
shoal("predict", checkpoint, job, "--input", inputs, "--format", "npy", "-o", "outputs.npy")
expected = (TEMPORARY / "outputs.npy").read_bytes()
for workers in (2, 3):
    shoal("predict", checkpoint, job, "--input", inputs, "--format", "npy", "-o", "again.npy",
          "-n", workers, "--set", "train.evaluate_batch=500")
    check((TEMPORARY / "again.npy").read_bytes() == expected,
          f"{workers} workers predict the same bytes")

lines = [shoal("predict", checkpoint, job, "-n", n, "--top", 10,
               "--set", "train.evaluate_batch=7").stdout for n in (1, 4)]
check(lines[0] == lines[1], "and the same lines of the test set")
rows = list(csv.DictReader(lines[0].splitlines()))
check([int(row["sample"]) for row in rows] == list(range(50)), "in the order of the samples")
for row in rows:
    shares = [float(row[f"probability_{k}"]) for k in range(1, 11)]
    if shares != sorted(shares, reverse=True) or abs(sum(shares) - 1) > 1e-5:
        sys.exit(f"FAIL: {row}")
print("ok: probabilities fall, and add up to 1")

for words, sentence in [(["--format", "npy"], "needs --output"), (["--top", "11"], "give 1 to 10"),
                        (["--input", "none.csv"], "none.csv"), (["--on", "night"], "--on night"),
                        (["--input", inputs, "--on", "test"], "--on"), (["-n", "0"], "not 0"),
                        (["-o", "/nowhere/at/all"], "/nowhere/at/all")]:
    done = shoal("predict", checkpoint, job, *words, expect=2)
    check(done.stderr.count("\n") == 1 and sentence in done.stderr, done.stderr.strip())

if python_has("torch", "safetensors", "numpy"):
    (TEMPORARY / "reader.py").write_text(READER)
    read = json.loads(run([PYTHON, TEMPORARY / "reader.py", TEMPORARY]).stdout)
    own = {name: list(values) for name, values in read_weights(checkpoint).items()}
    check(read == own, "safetensors and NumPy read the weights of the checkpoint")
    print("ok: PyTorch computes the same outputs from them")
    doubled = small_job("doubled", model=MODEL | {"weights": "doubled.safetensors"}, data=data,
                        train={"steps": 1, "lr": 1e-30, "momentum": 0.0},
                        checkpoint={"path": str(TEMPORARY / "second")})
    train(doubled, 2, mode="threads")
    found = read_weights(TEMPORARY / "second/step-00000001")
    check(all(abs(a - 2 * b) <= 1e-6 * abs(a) for name in own
              for a, b in zip(found[name], own[name])), "what Python wrote is begun with")
else:
    print(f"{PYTHON} has no torch, safetensors and numpy: Python's side is not tried")

begun = {"checkpoint.path": "", "checkpoint.every_steps": 0, "train.steps": 1}
same = train(job, 1, changes=begun | {"model.weights": "w.safetensors"})
npy = train(job, 2, changes=begun | {"model.weights": "npy"})
check(abs(same["loss"][0] - npy["loss"][0]) < 1e-6, "both exports begin with the same loss")
wrong = small_job("wrong", model={"layers": ["flatten", {"linear": 13}, "tanh", {"linear": 10}]},
                  data=data)
for workers in (1, 2):
    done = shoal("train", wrong, "-n", workers, *settings({"model.weights": "npy"}), expect=2)
    check("the model's is [13, 4]" in done.stderr and "[12, 4]" in done.stderr,
          done.stderr.splitlines()[0])
