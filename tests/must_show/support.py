"""What the scripts of this folder share: a temporary folder, jobs, runs of the command, checks.

A script ends with 0 when every check held, with 1 and a sentence at the first that did not, and
with 77 (a reason in the last line) when this machine lacks what it needs. Standard library only.
"""
import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SHOAL = str((REPOSITORY / os.environ.get("SHOAL", "build/bin/shoal")).resolve())
WATCHDOG = 240  # seconds; a run that takes longer hangs

TEMPORARY = Path(tempfile.mkdtemp(prefix="shoal-must-show-"))
RUNTIME = TEMPORARY / "runtime"  # what the command takes for its own temporary files
RUNTIME.mkdir(mode=0o700)
MARK = f"SHOAL_MUST_SHOW={TEMPORARY.name}"  # in the environment of every process we start


def environment(**changes):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMI", "SLURM_"))}
    kept |= {"TMPDIR": str(RUNTIME), "XDG_RUNTIME_DIR": str(RUNTIME)}
    kept[MARK.split("=")[0]] = MARK.split("=")[1]
    kept |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return kept | {k: str(v) for k, v in changes.items()}


def fail(sentence):
    print(f"FAIL: {sentence}", flush=True)
    sys.exit(1)


def skip(reason):
    print(reason, flush=True)
    sys.exit(77)


def check(condition, sentence):
    if not condition:
        fail(sentence)
    print(f"ok: {sentence}", flush=True)


def finished():
    """The last line of every script: nothing of ours stays behind."""
    check(not left_processes(), "no process stays behind")
    check_no_files_left()


# --- processes -----------------------------------------------------------------------------------


def marked_processes():
    """Ids of living processes that we started, or that they started."""
    mark = MARK.encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def left_processes(patience=5.0):
    """Marked processes that are still there; those about to end get a moment."""
    end = time.monotonic() + patience
    while (found := marked_processes()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def check_no_files_left():
    shared = [p.name for p in Path("/dev/shm").glob("*shoal*")]
    check(not shared, f"no shared memory stays behind {shared or ''}".strip())
    files = [p for p in RUNTIME.rglob("*") if not p.is_dir()]
    check(not files, f"no socket and no temporary file stays behind {files or ''}".strip())


def _clean():
    for process in marked_processes():
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass
    shutil.rmtree(TEMPORARY, ignore_errors=True)


atexit.register(_clean)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def run(command, expect=0, **changes):
    """Runs a command to its end and checks its exit code (None: any)."""
    folder = changes.pop("cwd", TEMPORARY)
    limit = changes.pop("limit", WATCHDOG)
    words = [str(word) for word in command]
    process = subprocess.Popen(words, cwd=folder, env=environment(**changes), text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, errors="replace")
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        fail(f"{' '.join(words)} did not end within {limit} s")
    done = subprocess.CompletedProcess(words, process.returncode, out, err)
    if expect is not None and done.returncode != expect:
        print(out[-3000:], err[-3000:], sep="\n")
        fail(f"{' '.join(words)} exits {done.returncode} instead of {expect}")
    return done


def shoal(*words, **options):
    return run([SHOAL, *words], **options)


def comm_tests(which, **changes):
    """What the tests of the communication engine that `which` selects print, and their exit code."""
    done = run([Path(SHOAL).parent / "shoal_comm_test", f"--gtest_filter={which}"], expect=None,
               **changes)
    return done.stdout + done.stderr, done.returncode


# --- jobs ----------------------------------------------------------------------------------------


def toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(v) for v in value) + "]"
    return json.dumps(value) if isinstance(value, str) else repr(value)


def job_file(name, tables):
    """Writes a job; tables: {"train": {"batch": 100}, ...}, "" for the top level."""
    file = TEMPORARY / f"{name}.toml"
    lines = [f"{key} = {toml(value)}" for key, value in tables.get("", {}).items()]
    for table, keys in tables.items():
        if table:
            lines += ["", f"[{table}]"] + [f"{key} = {toml(value)}" for key, value in keys.items()]
    file.write_text("\n".join(lines) + "\n")
    return file


def settings(changes):
    """{"train.lr": 0.1} as arguments."""
    return [word for key, value in changes.items() for word in ("--set", f"{key}={toml(value)}")]


_runs = 0
_runs_lock = threading.Lock()


def together(calls, at_once=3):
    """Calls functions in parallel; their results in order."""
    with ThreadPoolExecutor(at_once) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def train(job, workers=1, *words, mode="processes", changes=None, expect=0, **options):
    """Trains and returns the report (a dict)."""
    global _runs
    with _runs_lock:
        _runs += 1
        report = TEMPORARY / f"report-{_runs}.json"
    shoal("train", job, "-n", workers, "--mode", mode, "--quiet", "--report", report,
          *settings(changes or {}), *words, expect=expect, **options)
    return json.loads(report.read_text()) if expect == 0 else None


CHAIN = ["flatten", {"linear": 48}, "tanh", {"dropout": 0.25}, {"linear": 32}, "relu",
         {"linear": 10}]


def small_job(name, model=None, data=None, train=None, **tables):
    """A chain with dropout on random samples of 8x8, 20 steps of 100 samples with momentum."""
    return job_file(name, {
        "": {"seed": 11},
        "model": model or {"layers": CHAIN},
        "data": {"name": "random", "shape": [1, 8, 8], "size": 1000, "test_size": 50}
                | (data or {}),
        "train": {"steps": 20, "batch": 100, "momentum": 0.9, "lr": 0.05, "evaluate": False}
                 | (train or {}),
    } | tables)


def train_all(jobs, at_once=3):
    """[(arguments of train, keywords of train), ...] in parallel; the reports."""
    return together([lambda a=a, k=k: train(*a, **k) for a, k in jobs], at_once)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- comparisons ---------------------------------------------------------------------------------


def relative_gap(losses, others):
    if len(losses) != len(others):
        fail(f"{len(losses)} losses cannot be compared with {len(others)}")
    return max((abs(a - b) / abs(a) for a, b in zip(losses, others)), default=0.0)


def check_losses_agree(reference, report, bound, what):
    gap = relative_gap(reference["loss"], report["loss"])
    check(gap <= bound, f"{what}: losses differ by {gap:.1e} relative, at most {bound:.0e}")


def check_same_weights(reference, report, what):
    check(reference["weights_sha256"] == report["weights_sha256"], f"{what}: the same weights")


# --- checkpoints ---------------------------------------------------------------------------------

FORMATS = {"F32": "f", "F64": "d"}


def step_folders(path):
    return sorted(p for p in Path(path).glob("step-*") if p.is_dir())


def read_safetensors(file):
    """name -> (format, values)."""
    data = Path(file).read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + size])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        code = FORMATS[entry["dtype"]]
        begin, end = entry["data_offsets"]
        count = (end - begin) // struct.calcsize(code)
        tensors[name] = struct.unpack_from(f"<{count}{code}", data, 8 + size + begin)
    return tensors


def read_weights(checkpoint):
    """All parameters of a checkpoint, by name."""
    index = json.loads((Path(checkpoint) / "index.json").read_text())
    parameters = {s["name"] for s in index["slices"] if s["role"] == "parameter"}
    weights = {}
    for file in sorted(Path(checkpoint).glob("*.safetensors")):
        weights |= {n: v for n, v in read_safetensors(file).items() if n in parameters}
    return weights


def _crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def rewrite_checkpoint(source, target, step, change):
    """Copies a checkpoint as one after `step` updates. change(slice, bytes) returns the new bytes
    of a slice; checksums follow."""
    shutil.copytree(source, target)
    index_file = Path(target) / "index.json"
    index = json.loads(index_file.read_text())
    index.pop("crc32c", None)  # of the index itself; may be left out
    index["step"] = index["facts"]["steps"] = index["facts"]["update_count"] = step
    for part in index["slices"]:
        file = Path(target) / part["file"]
        content = bytearray(file.read_bytes())
        new = change(part, bytes(content[part["begin"]:part["end"]]))
        content[part["begin"]:part["end"]] = new
        part["crc32c"] = crc32c(new)
        file.write_bytes(content)
    index_file.write_text(json.dumps(index))


# --- two hosts -----------------------------------------------------------------------------------


def lacks_for_two_hosts():
    """Why this machine cannot play two hosts; None when it can."""
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("tc"):
        return "two hosts joined by a cable of their own need root, ip and tc"
    tried = subprocess.run(["ip", "netns", "list"], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    return "this kernel has no network namespaces" if tried.returncode != 0 else None


@contextlib.contextmanager
def two_hosts(gbits=None):
    """Names of two network namespaces that share nothing but one virtual cable: 10.77.0.1 and
    10.77.0.2. Each sends at most `gbits` Gbit/s."""
    spaces = [f"shoal{os.getpid()}{side}" for side in "ab"]
    ends = [f"sh{os.getpid()}{side}" for side in "ab"]

    def ip(*words):
        subprocess.run(["ip", *words], check=True)

    try:
        for space in spaces:
            ip("netns", "add", space)
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for i, (space, end) in enumerate(zip(spaces, ends)):
            ip("link", "set", end, "netns", space)
            ip("-n", space, "addr", "add", f"10.77.0.{i + 1}/24", "dev", end)
            ip("-n", space, "link", "set", end, "up")
            ip("-n", space, "link", "set", "lo", "up")
            if gbits:
                ip("netns", "exec", space, "tc", "qdisc", "add", "dev", end, "root", "tbf",
                   "rate", f"{gbits}gbit", "burst", "256kb", "latency", "50ms")
        yield spaces
    finally:
        for space in spaces:
            subprocess.run(["ip", "netns", "del", space], stderr=subprocess.DEVNULL)


def train_on_two_hosts(job, output, gbits=None):
    """One worker on each of two hosts. `output`: an option that writes a file, such as "--report";
    what rank 0 writes is returned."""
    written = [TEMPORARY / f"two-hosts-{rank}.json" for rank in (0, 1)]
    secret = TEMPORARY / "secret"
    secret.write_text("0123456789abcdef" * 2 + "\n")
    secret.chmod(0o600)
    with two_hosts(gbits) as spaces:
        launchers = [subprocess.Popen(
            ["ip", "netns", "exec", space, SHOAL, "train", str(job), "-n", "1", "--quiet",
             "--nodes", "2", "--node-rank", str(rank), "--secret-file", str(secret),
             "--master", "10.77.0.1:29411", output, str(written[rank])],
            env=environment(), text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for rank, space in enumerate(spaces)]
        for launcher in launchers:
            said, _ = launcher.communicate(timeout=WATCHDOG)
            if launcher.returncode != 0:
                fail(f"a launcher on one of two hosts exits {launcher.returncode}: {said}")
    return json.loads(written[0].read_text())
