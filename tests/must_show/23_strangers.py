#!/usr/bin/env python3
"""Scanners, fuzzers and half-open connections at every port of a running job change nothing in it:
the same weights as of an undisturbed one."""
import json
import os
import random
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

from support import (SHOAL, WATCHDOG, check, environment, fail, finished, marked_processes,
                     small_job, TEMPORARY)

JOB = small_job("strangers", train={"steps": 4000}, comm={"engine": "tcp"})
SHORT_JOB = small_job("many-starts", train={"steps": 5}, comm={"engine": "tcp"})
MAGIC = b"SHOAL1\0\1"


def listening():
    """Ports at which processes that we started listen."""
    inodes = set()
    for process in marked_processes():
        try:
            for entry in Path(f"/proc/{process}/fd").iterdir():
                target = os.readlink(entry)
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
        except OSError:
            continue
    ports = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "0A" and words[9] in inodes:
            ports.add(int(words[1].split(":")[1], 16))
    return ports


# --- what strangers do; each takes a connected socket ---------------------------------------------


def scan(visitor, _):
    visitor.close()


def scan_and_read(visitor, _):
    visitor.recv(100)


def garbage(visitor, chance):
    visitor.sendall(chance.randbytes(chance.randrange(1, 3000)))
    visitor.recv(100)


def browser(visitor, _):
    visitor.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    visitor.recv(100)


def wrong_secret(visitor, chance):
    visitor.sendall(MAGIC + struct.pack("<Q", chance.randrange(4)) + chance.randbytes(64))
    visitor.recv(200)


def truncated(visitor, chance):
    visitor.sendall((MAGIC + chance.randbytes(96))[:chance.randrange(1, 103)])


def oversized(visitor, chance):
    """A frame of the data connections, and a request of the store, that announce too much."""
    visitor.sendall(struct.pack("<IB3xIIQQII", 0x4C485346, 4, 0xFFFFFFFF, 0, 1, 0, 0, 0))
    visitor.sendall(struct.pack("<QII", chance.getrandbits(64), 0xFFFFFFFF, 0xFFFFFFFF))
    visitor.recv(100)


def reset(visitor, _):
    visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def slow(visitor, chance):
    for byte in MAGIC + chance.randbytes(10):
        visitor.sendall(bytes([byte]))
        time.sleep(0.01)


HABITS = (scan, scan_and_read, garbage, browser, wrong_secret, truncated, oversized, reset, slow)


class Strangers:
    """Threads that visit whatever listens, and 200 connections that only stand open."""

    def __init__(self):
        self.visits = {habit.__name__: 0 for habit in HABITS}
        self.ports = set()
        self.open = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.visit, args=(seed,)) for seed in range(6)]
        for thread in self.threads:
            thread.start()

    def visit(self, seed):
        chance = random.Random(seed)
        while not self.over.is_set():
            ports = sorted(listening())
            self.ports.update(ports)
            for port in ports * 8:
                habit = chance.choice(HABITS)
                try:
                    with socket.create_connection(("127.0.0.1", port), timeout=0.3) as visitor:
                        self.visits[habit.__name__] += 1
                        habit(visitor, chance)
                    if len(self.open) < 200:
                        self.open.append(socket.create_connection(("127.0.0.1", port), timeout=0.3))
                except OSError:
                    continue
            time.sleep(0.005)

    def leave(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        for visitor in self.open:
            visitor.close()


def train(job, name):
    report = TEMPORARY / f"{name}.json"
    done = subprocess.run([SHOAL, "train", str(job), "-n", "3", "--quiet", "--report", str(report)],
                          env=environment(), text=True, stdin=subprocess.DEVNULL, timeout=WATCHDOG,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        fail(f"{name} exits {done.returncode}: {done.stdout}")
    return json.loads(report.read_text())["weights_sha256"]


alone = train(JOB, "alone")
alone_short = train(SHORT_JOB, "alone-short")
strangers = Strangers()
try:
    among = train(JOB, "among")
    # The groups' ports are open while they form: so start often.
    starts = [train(SHORT_JOB, f"start-{i}") for i in range(8)]
finally:
    strangers.leave()
print(f"visits at {len(strangers.ports)} ports: "
      + ", ".join(f"{name} {count}" for name, count in strangers.visits.items())
      + f"; {len(strangers.open)} stood open")
check(all(count >= 20 for count in strangers.visits.values()), "all kinds of strangers came")
check(len(strangers.open) == 200, "and 200 that said nothing")
check(len(strangers.ports) >= 9, "at the stores of all jobs, and at groups that formed")
check(among == alone, "a long job ends with the same weights among them")
check(set(starts) == {alone_short}, "so do eight short ones that start among them")
finished()
