#!/usr/bin/env python3
"""Times collectives of a torch.distributed backend as `shoal comm bench` times shoal's.

usage: bench/peers/torch_collectives.py BACKEND OPERATION RANKS FROM TO

Every rank writes its buffer anew before each call, all meet over shared memory, and what counts is
the slowest rank of each call. Prints a line for each size: bytes, median seconds.
"""
import ctypes
import mmap
import os
import socket
import statistics
import sys
import time

MOST_CALLS = 400
MOST_RANKS = 16


class Board(ctypes.Structure):
    _fields_ = [("arrived", ctypes.c_uint64 * (8 * MOST_RANKS)),
                ("seconds", (ctypes.c_double * MOST_CALLS) * MOST_RANKS)]


def measure(backend, operation, rank, ranks, sizes, board, port):
    cores = sorted(os.sched_getaffinity(0))
    if ranks <= len(cores):
        os.sched_setaffinity(0, {cores[rank]})
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank),
                      WORLD_SIZE=str(ranks), OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    import torch
    import torch.distributed as dist
    if backend == "shoal":
        import shoal  # noqa: F401
    torch.set_num_threads(1)
    dist.init_process_group(backend)
    spins = ranks <= len(cores)

    def meet():
        board.arrived[8 * rank] += 1
        now = board.arrived[8 * rank]
        for other in range(ranks):
            while board.arrived[8 * other] < now:
                if not spins:
                    time.sleep(0)

    def one_call(value, data, parts, out):
        data.fill_(value)
        meet()
        start = time.perf_counter()
        if operation == "all_reduce":
            dist.all_reduce(data)
        elif operation == "broadcast":
            dist.broadcast(data, 0)
        elif operation == "all_gather":
            dist.all_gather_into_tensor(out, parts[rank])
        elif operation == "reduce_scatter":
            dist.reduce_scatter_tensor(out[:parts[0].numel()], data)
        else:
            dist.all_to_all_single(out, data)
        return time.perf_counter() - start

    for size in sizes:
        whole = -(-size // (4 * ranks)) * ranks
        data, out = torch.zeros(whole), torch.zeros(whole)
        parts = list(data.chunk(ranks))
        calls = max(5, min(MOST_CALLS, (64 << 20) // (4 * whole)))
        for _ in range(max(2, calls // 4)):
            one_call(rank + 1, data, parts, out)
        for i in range(calls):
            board.seconds[rank][i] = one_call(rank + 1, data, parts, out)
        if operation == "all_reduce":
            assert float(data[-1]) == ranks * (ranks + 1) / 2, "a wrong sum"
        meet()
        if rank == 0:
            slowest = [max(board.seconds[r][i] for r in range(ranks)) for i in range(calls)]
            print(size, f"{statistics.median(slowest):.9f}", flush=True)
        meet()
    dist.destroy_process_group()


def die_with_parent():
    """Ranks spin until the others come, so none may outlive whoever waits for them."""
    PR_SET_PDEATHSIG, SIGKILL = 1, 9
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)


def main():
    die_with_parent()
    backend, operation, ranks, first, last = sys.argv[1:]
    ranks, size, sizes = int(ranks), int(first), []
    while size <= int(last):
        sizes.append(size)
        size *= 4
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    board = Board.from_buffer(mmap.mmap(-1, ctypes.sizeof(Board)))
    children = []
    for rank in range(ranks):
        child = os.fork()
        if child == 0:
            die_with_parent()
            code = 1
            try:
                measure(backend, operation, rank, ranks, sizes, board, port)
                code = 0
            finally:
                sys.stdout.flush()
                os._exit(code)
        children.append(child)
    for child in children:
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
            sys.exit("a rank failed")


if __name__ == "__main__":
    main()
