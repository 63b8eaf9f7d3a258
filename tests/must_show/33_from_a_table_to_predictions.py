#!/usr/bin/env python3
"""From a table of numbers to predictions and weights for Python, by five commands."""
import csv
import json
import random

from support import TEMPORARY, check, finished, run, shoal, SHOAL

choose = random.Random(4)


def row():
    a, b = choose.uniform(-1, 1), choose.uniform(-1, 1)
    return a, b, int(a * (b - 0.3) > 0)  # no straight line tells the two classes apart


def write(name, rows, columns):
    with (TEMPORARY / name).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows(rows)


write("table.csv", [row() for _ in range(2000)], ["a", "b", "kind"])
unknown = [row() for _ in range(200)]
write("unknown.csv", [(b, a) for a, b, _ in unknown], ["b", "a"])  # columns in another order

shoal("init", "mlp", "--data", "csv", "--path", "table.csv", "-o", "job.toml")
refused = shoal("init", "mlp", "--data", "csv", "--path", "table.csv", "-o", "job.toml", expect=2)
check("--force" in refused.stderr, "a file that is there is not overwritten")
trained = shoal("train", "job.toml", "-n", 2, "--set", "train.epochs=30", "--set",
                "checkpoint.path=run", "--metrics", "run/metrics")
lines = [json.loads(line) for line in (TEMPORARY / "run/metrics/metrics.jsonl").open()]
accuracy = next(line["accuracy"] for line in lines if line["set"] == "test")
check(accuracy > 0.9, f"the test accuracy is {accuracy:.3f}, in the metrics too")

newest = sorted(TEMPORARY.glob("run/step-*"))[-1]
for workers in (1, 3):
    shoal("predict", newest, "job.toml", "-n", workers, "--input", "unknown.csv",
          "-o", f"predictions-{workers}.csv")
answers = list(csv.DictReader((TEMPORARY / "predictions-1.csv").open()))
right = sum(int(answer["label"]) == label for answer, (_, _, label) in zip(answers, unknown))
check(len(answers) == 200 and right > 180, f"{right} of 200 new samples are told right")
check((TEMPORARY / "predictions-1.csv").read_bytes() ==
      (TEMPORARY / "predictions-3.csv").read_bytes(), "three workers write the same file")

shoal("checkpoint", "export", newest, "-o", "weights.safetensors")
again = shoal("evaluate", "weights.safetensors", "job.toml").stdout
check(again.strip() in trained.stdout, f"the exported weights are as good: {again.strip()}")

blocked = run(["bash", "-c", f"ulimit -n 40; exec {SHOAL} doctor"], expect=1).stdout
check("STOP  open files" in blocked and "40" in blocked,
      "the doctor ends with 1 where a job would not run, and says why")
sick = shoal("doctor", "--json", "doctor.json", expect=None, TMPDIR="/nowhere")
check(sick.returncode == 1 and "STOP  temporary files" in sick.stdout, "and names the folder")
found = json.loads((TEMPORARY / "doctor.json").read_text())
check(not found["would_run"] and all(f["looked_at"] for f in found["findings"]),
      "every line says where it looked")
finished()
