#!/usr/bin/env python3
"""All-reduces between two hosts on a link of a known rate. Needs root: the hosts are two network
namespaces of this machine, and the link between them is shaped.

usage: bench/two_hosts.py [--mbit 1000] [--repetitions 5] [--to 67108864] [--json FILE]

The link's goodput is what plain TCP streams carry both ways at once. Beside it, in each repetition:
  1 x 2  one worker on each host over tcp; the bound is 2 (n-1)/n S over the goodput
  plain  plain TCP streams that carry as many bytes, from 1 MiB
  2 x 2  two workers on each host: a flat ring over tcp, and hierarchical
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHOAL = os.environ.get("SHOAL", str(ROOT / "build/bin/shoal"))
HOSTS = ("shoal-a", "shoal-b")
ADDRESSES = ("10.231.7.1", "10.231.7.2")
STREAM = """
import socket, sys, threading, time
address, serves, sizes = sys.argv[1], sys.argv[2] == "serve", [int(size) for size in sys.argv[3:]]
if serves:
    with socket.create_server((address, 29811)) as door:
        peer, _ = door.accept()
else:
    for attempt in range(100):
        try:
            peer = socket.create_connection((address, 29811))
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
block, room = bytes(1 << 17), bytearray(1 << 17)
def give(left):
    while left:
        left -= peer.send(memoryview(block)[:left])
for size in sizes:
    peer.sendall(b"!")
    peer.recv(1)
    giver = threading.Thread(target=give, args=(size,))
    start = time.monotonic()
    giver.start()
    left = size
    while left:
        left -= peer.recv_into(room, min(left, len(room)))
    giver.join()
    print(time.monotonic() - start)
"""


def run(*words, fails=False):
    done = subprocess.run(words, text=True, capture_output=True)
    if done.returncode != 0 and not fails:
        sys.exit(f"{' '.join(words)}: {done.stderr.strip()}")


def inside(host, *words):
    return ["ip", "netns", "exec", HOSTS[host], *map(str, words)]


class Link:
    def __init__(self, mbit):
        self.mbit = mbit

    def __enter__(self):
        self.__exit__()
        for host in HOSTS:
            run("ip", "netns", "add", host)
        run("ip", "link", "add", "va", "netns", HOSTS[0], "type", "veth", "peer", "name", "vb",
            "netns", HOSTS[1])
        for host, device in enumerate(("va", "vb")):
            run(*inside(host, "ip", "addr", "add", ADDRESSES[host] + "/24", "dev", device))
            for name in (device, "lo"):
                run(*inside(host, "ip", "link", "set", name, "up"))
            run(*inside(host, "tc", "qdisc", "add", "dev", device, "root", "tbf", "rate",
                        f"{self.mbit}mbit", "burst", "32k", "latency", "20ms"))

    def __exit__(self, *_):
        for host in HOSTS:
            run("ip", "netns", "del", host, fails=True)


def plain_seconds(*sizes):
    """What plain TCP streams take to carry each size both ways at once, of the slower end."""
    ends = [subprocess.Popen(inside(host, sys.executable, "-c", STREAM, ADDRESSES[0], role, *sizes),
                             stdout=subprocess.PIPE, text=True)
            for host, role in enumerate(("serve", "visit"))]
    said = [end.communicate(timeout=120)[0].split() for end in ends]
    return [max(float(seconds) for seconds in pair) for pair in zip(*said, strict=True)]


def goodput():
    """Bytes per second each way."""
    return (128 << 20) / plain_seconds(128 << 20)[0]


def plain(sizes, calls=5):
    """{bytes: median seconds}, on a connection that is warm: the bound as TCP reaches it."""
    seconds = plain_seconds(*(size for size in sizes for _ in range(calls)))
    return {size: statistics.median(seconds[i * calls:(i + 1) * calls])
            for i, size in enumerate(sizes)}


def bench(folder, workers, *words):
    """{bytes: seconds}"""
    file = folder / "figures.json"
    secret = folder / "secret"
    secret.write_text("s" * 40)
    secret.chmod(0o600)
    launchers = [subprocess.Popen(
        inside(host, SHOAL, "run", "-n", workers, "--nodes", 2, "--node-rank", host, "--master",
               f"{ADDRESSES[0]}:29812", "--secret-file", secret, "--", SHOAL, "comm", "bench",
               "--repetitions", 1, "--json", file, *words),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for host in (0, 1)]
    for launcher in launchers:
        said = launcher.communicate(timeout=600)[0]
        if launcher.returncode != 0:
            sys.exit(f"a launcher ended with {launcher.returncode}: {said[-800:]}")
    figures = json.loads(file.read_text())
    return {one["bytes"]: one["median_seconds"] for one in figures["sizes"]}, figures["engine"]


def spread(over, under):
    """The median of the ratios, and the smallest and largest."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return f"{statistics.median(ratios):.3f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mbit", type=int, default=1000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--to", type=int, default=1 << 26)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    rates = []
    times = {}
    with Link(options.mbit), tempfile.TemporaryDirectory() as folder:
        for _ in range(options.repetitions):
            rates.append(goodput())
            for name, workers, words in (("tcp", 1, ()), ("ring", 2, ("--engine", "tcp", "--algorithm", "ring")),
                                         ("hierarchical", 2, ())):
                found, engine = bench(pathlib.Path(folder), workers, "--to", options.to, *words)
                if name != "ring" and engine != name:
                    sys.exit(f"{name} runs over {engine}")
                for size, seconds in found.items():
                    times.setdefault(name, {}).setdefault(size, []).append(seconds)
            for size, seconds in plain([s for s in times["tcp"] if s >= 1 << 20]).items():
                times.setdefault("plain", {}).setdefault(size, []).append(seconds)
    rate = statistics.median(rates)
    print(f"{time.strftime('%Y-%m-%d')}: link shaped to {options.mbit} Mbit/s, goodput both ways "
          f"{rate / 1e6:.2f} MB/s each ({min(rates) / 1e6:.2f} to {max(rates) / 1e6:.2f})")
    print(f"{'bytes':>10} {'1 x 2: ms':>10} {'bound':>7} {'of bound':>22}   {'plain: ms':>9} {'of plain':>22}   "
          f"{'2 x 2 ring: ms':>14} {'hierarchical':>12} {'ratio':>22}")
    for size, seconds in times["tcp"].items():
        bound = size / rate  # 2 (n-1)/n S of two workers
        plain_ms, of_plain = "", ""
        if size in times["plain"]:
            plain_ms = f"{statistics.median(times['plain'][size]) * 1e3:.3f}"
            of_plain = spread(seconds, times["plain"][size])
        alone, ring, levels = (statistics.median(times[name][size]) * 1e3
                               for name in ("tcp", "ring", "hierarchical"))
        print(f"{size:>10} {alone:>10.3f} {bound * 1e3:>7.2f} {spread(seconds, [bound] * len(seconds)):>22}   "
              f"{plain_ms:>9} {of_plain:>22}   {ring:>14.3f} {levels:>12.3f} "
              f"{spread(times['hierarchical'][size], times['ring'][size]):>22}")
    if options.json:
        options.json.write_text(json.dumps({"goodput": rates, "seconds": times}, indent=1) + "\n")


if __name__ == "__main__":
    main()
