#!/usr/bin/env python3
"""Metrics files of a run that is killed and resumed, read by what is written here from the formats'
descriptions alone, and by TensorBoard where it is installed."""
import csv
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "must_show"))
from support import SHOAL, TEMPORARY, check, crc32c, environment, fail, settings, shoal, small_job

STEPS = 60
FORMATS = ["jsonl", "csv", "tensorboard"]


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(file):
    """Of a TFRecord file, checksums compared."""
    data = file.read_bytes()
    while data:
        (length,) = struct.unpack_from("<Q", data)
        (of_length,), event = struct.unpack_from("<I", data, 8), data[12:12 + length]
        (of_event,) = struct.unpack_from("<I", data, 12 + length)
        if of_length != masked(data[:8]) or of_event != masked(event):
            fail(f"{file}: a checksum differs")
        yield event
        data = data[16 + length:]


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def fields(message):
    """(number, value) of each field of a protocol buffer."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        if key & 7 == 0:
            value, at = varint(message, at)
        elif key & 7 == 1:
            value, at = struct.unpack_from("<d", message, at)[0], at + 8
        elif key & 7 == 5:
            value, at = struct.unpack_from("<f", message, at)[0], at + 4
        elif key & 7 == 2:
            size, at = varint(message, at)
            value, at = message[at:at + size], at + size
        else:
            fail(f"a field of wire type {key & 7}")
        yield key >> 3, value


def scalars(file):
    """tag -> [(step, value)] of an event file."""
    tags, first = {}, True
    for event in records(file):
        content = dict(fields(event))
        if first:
            check(content.get(3) == b"brain.Event:2", "the event file begins with its version")
            first = False
            continue
        for number, value in fields(content[5]):
            parts = dict(fields(value))
            tags.setdefault(parts[1].decode(), []).append((content[2], parts[2]))
            if number != 1 or not 1.7e9 < content[1] < 5e9:
                fail("a summary holds values, and an event its time")
    return tags


def read_all(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    return lines, rows, scalars(next(folder.glob("*tfevents*")))


def killed_and_resumed():
    job = small_job("killed", train={"steps": STEPS, "evaluate": True, "evaluate_every": 2,
                                     "clip_norm": 0.5},
                    data={"validation": 50},
                    model={"layers": ["flatten", {"linear": 32}, {"wait": 0.01}, {"linear": 10}]},
                    checkpoint={"path": str(TEMPORARY / "run"), "every_steps": 7},
                    metrics={"formats": FORMATS})
    folder = TEMPORARY / "metrics"
    words = [SHOAL, "train", str(job), "-n", "2", "--metrics", str(folder)]
    process = subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    end = time.monotonic() + 100
    file = folder / "metrics.jsonl"
    while not file.exists() or file.read_text().count('"train"') < 20:
        if time.monotonic() > end or process.poll() is not None:
            fail("the run does not write its metrics while it goes on")
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for text in file.read_text().splitlines():
        json.loads(text)
    check(file.read_text().endswith("\n"), "a run that is killed leaves whole lines")
    shoal(*words[1:], "--resume", "--quiet")
    return folder


def compare(folder):
    lines, rows, tags = read_all(folder)
    of_steps = [line for line in lines if line["set"] == "train"]
    check([line["step"] for line in of_steps] == list(range(1, STEPS + 1)),
          "every step is there once, in order")
    check([int(row["step"]) for row in rows if row["set"] == "train"] ==
          [step for step, _ in tags["train/loss"]] == list(range(1, STEPS + 1)),
          "in all three files")
    runs = [line for line in lines if line["set"] == "run"]
    check(len(runs) == 2 and runs[1]["step"] > 0 and "resumed_from" in runs[1],
          f"the second run went on at step {runs[1]['step']}")
    for line, row in zip([l for l in lines if l["set"] != "run"], rows):
        for name in set(row) - {"time"}:
            if row[name] != str(line.get(name, "")) and float(row[name]) != line[name]:
                fail(f"{name} of step {line['step']} is {row[name]} and {line.get(name)}")
    print("ok: the table says what the lines say")
    for line in lines:
        for name in ("loss", "accuracy", "rate", "gradient_norm", "compute", "samples_per_second"):
            if name in line:
                found = dict(tags[f"{line['set']}/{name}"])[line["step"]]
                if abs(found - line[name]) > 1e-6 * abs(line[name]):
                    fail(f"{name} of step {line['step']} is {found} for TensorBoard")
    print("ok: the event file says the same in float32")
    check(all("gradient_norm" in line for line in of_steps), "clipped steps know their norm")
    check({"validation", "test"} <= {line["set"] for line in lines}, "evaluations are there")
    shares = of_steps[-1]
    parts = sum(shares[name] for name in ("compute", "communication", "data", "other"))
    check(abs(parts - shares["seconds"]) < 1e-3, "the parts of a step's time add up")


def by_tensorboard(folder):
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError:
        print("TensorBoard is not installed: its own reader is not tried")
        return
    read = EventAccumulator(str(folder), size_guidance={"scalars": 0}, purge_orphaned_data=False)
    read.Reload()
    own = scalars(next(folder.glob("*tfevents*")))
    check(sorted(read.Tags()["scalars"]) == sorted(own), "TensorBoard finds the same tags")
    for tag, values in own.items():
        if [(event.step, event.value) for event in read.Scalars(tag)] != values:
            fail(f"TensorBoard reads other values of {tag}")
    print("ok: TensorBoard reads the same values")


def refusals():
    job = small_job("refused")
    for changes, sentence in [({"metrics.formats": ["xml"]}, "formats names 'xml'"),
                              ({"metrics.path": "/proc/none"}, "/proc/none")]:
        done = shoal("train", job, "--quiet", *settings({"metrics.path": "m"} | changes), expect=2)
        check(done.stderr.count("\n") == 1 and sentence in done.stderr, done.stderr.strip())
    shoal("train", job, "--quiet", "--metrics", "again", "--set", "train.steps=1")
    for workers in (1, 2):
        done = shoal("train", job, "--quiet", "-n", workers, "--metrics", "again", expect=2)
        check("holds a run already" in done.stderr and done.stderr.count("error:") == 1,
              done.stderr.strip())


folder = killed_and_resumed()
compare(folder)
by_tensorboard(folder)
refusals()
