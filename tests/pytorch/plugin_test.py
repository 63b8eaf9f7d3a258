#!/usr/bin/env python3
"""PyTorch's parallel modules give the same weights on shoal as on Gloo, and a killed rank is named."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv/bin/python"
PACKAGE = pathlib.Path(os.environ.get("SHOAL", ROOT / "build/bin/shoal")).parents[1] / "python"


def model(torch):
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 8))


def train(torch, net, parameters):
    """Ten steps; each rank has data of its own. Returns nothing: the weights are the result."""
    import torch.distributed as dist

    generator = torch.Generator().manual_seed(dist.get_rank())
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
    for _ in range(10):
        optimizer.zero_grad()
        net(torch.randn(4, 16, generator=generator)).square().mean().backward()
        optimizer.step()


def ddp(torch):
    net = torch.nn.parallel.DistributedDataParallel(model(torch), bucket_cap_mb=0.001)
    train(torch, net, net.parameters())
    return [p.detach() for p in net.parameters()]


def fsdp(torch):
    from torch.distributed.fsdp import fully_shard

    net = model(torch)
    for layer in (net[0], net[2], net):
        fully_shard(layer)
    train(torch, net, net.parameters())
    return [p.detach().full_tensor() for p in net.parameters()]


def tensor_parallel(torch):
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.parallel import (ColwiseParallel, RowwiseParallel,
                                                   parallelize_module)

    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    net = parallelize_module(model(torch), mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(1)  # the same data for all
    for _ in range(5):
        optimizer.zero_grad()
        net(torch.randn(4, 16, generator=generator)).square().mean().backward()
        optimizer.step()
    return [p.detach().full_tensor() for p in net.parameters()]


def pipeline(torch):
    import torch.distributed as dist
    from torch.distributed.pipelining import PipelineStage, ScheduleGPipe

    rank, size = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(5)
    layers = [torch.nn.Linear(16, 16) for _ in range(size)]
    stage = PipelineStage(layers[rank], rank, size, torch.device("cpu"))
    schedule = ScheduleGPipe(stage, 4, loss_fn=lambda out, target: (out - target).square().mean())
    torch.manual_seed(6)
    data, target = torch.randn(8, 16), torch.randn(8, 16)
    if rank == 0:
        schedule.step(data)
    elif rank == size - 1:
        schedule.step(target=target)
    else:
        schedule.step()
    gathered = [None] * size
    dist.all_gather_object(gathered, layers[rank].weight.grad)
    return gathered


PARTS = {"ddp": ddp, "fsdp": fsdp, "tensor_parallel": tensor_parallel, "pipeline": pipeline}


def worker(part, backend, folder, rank, size):
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    if backend != "gloo" or part == "refused":
        import shoal
    dist.init_process_group("shoal" if backend == "shared" else backend, init_method=f"file://{folder}/{part}-{backend}", rank=rank,
                            world_size=size)
    if backend == "shared":
        assert shoal.share_tensors(least_bytes=256), "the ranks share no memory"
    if part == "refused":
        shoal.share_tensors()
    if part == "killed":
        tensor = torch.ones(1000)
        for step in range(100_000):
            dist.all_reduce(tensor.fill_(1))
            if step == 200 and rank == 1:
                os.kill(os.getpid(), signal.SIGKILL)
        return
    weights = PARTS[part](torch)
    torch.save(weights, f"{folder}/{part}-{backend}-{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()
    if backend == "gloo":
        os._exit(0)  # one in fifty ends by terminate() when the interpreter takes Gloo's threads down


def launch(part, backend, folder, size):
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    command = [PYTHON, __file__, part, backend, folder]
    processes = [
        subprocess.Popen([*command, str(rank), str(size)], env=environment, text=True,
                         stderr=subprocess.PIPE)
        for rank in range(size)
    ]
    return [(process.communicate(timeout=120)[1], process.returncode) for process in processes]


COMPARE = """
import json, sys, torch
folder, part, backend, size = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
worst = 0.0
for rank in range(size):
    ours, theirs = (torch.load(f"{folder}/{part}-{b}-{rank}.pt") for b in (backend, "gloo"))
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs):
        worst = max(worst, float((a - b).abs().max() / b.abs().max()))
print(json.dumps(worst))
"""


def check_same_as_gloo(part, size, ours="shoal"):
    """`ours`: shoal, or shared: with tensors in shared memory."""
    with tempfile.TemporaryDirectory() as folder:
        for backend in (ours, "gloo"):
            for rank, (errors, code) in enumerate(launch(part, backend, folder, size)):
                assert code == 0, f"{part} on {backend}, rank {rank}: {errors[-3000:]}"
        worst = json.loads(subprocess.run([PYTHON, "-c", COMPARE, folder, part, ours, str(size)],
                                          check=True, capture_output=True, text=True).stdout)
    print(f"{part} on {ours} with {size} ranks: largest relative difference from Gloo {worst:.2g}")
    # Two summands have one sum; more may be added in another order.
    assert worst == 0.0 if size == 2 and part != "pipeline" else worst < 1e-5, worst


def check_killed_rank_is_named():
    with tempfile.TemporaryDirectory() as folder:
        ended = launch("killed", "shoal", folder, 3)
    assert ended[1][1] == -signal.SIGKILL
    for rank in (0, 2):
        errors, code = ended[rank]
        print(errors.strip().splitlines()[-1])
        assert code == 1 and "DistBackendError: rank 1 " in errors, errors[-3000:]


def check_unknown_engine_is_refused():
    os.environ["SHOAL_ENGINE"] = "pigeon"
    with tempfile.TemporaryDirectory() as folder:
        [(errors, code)] = launch("ddp", "shoal", folder, 1)
    del os.environ["SHOAL_ENGINE"]
    print(errors.strip().splitlines()[-1])
    assert code == 1 and "ValueError" in errors and '"shm", "tcp"' in errors, errors[-3000:]


def check_other_backends_share_nothing():
    with tempfile.TemporaryDirectory() as folder:
        [(errors, code)] = launch("refused", "gloo", folder, 1)
    print(errors.strip().splitlines()[-1])
    assert code == 1 and "ValueError: share_tensors: the group's CPU backend is gloo" in errors, errors[-3000:]


def main():
    if not (PACKAGE / "shoal").is_dir() or not PYTHON.exists():
        print("skipped: the Python package is not built")
        sys.exit(77)
    for part in PARTS:
        check_same_as_gloo(part, 2)
    check_same_as_gloo("ddp", 3)
    check_same_as_gloo("ddp", 2, "shared")
    check_same_as_gloo("fsdp", 2, "shared")
    check_same_as_gloo("fsdp", 3, "shared")
    check_killed_rank_is_named()
    check_unknown_engine_is_refused()
    check_other_backends_share_nothing()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        worker(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
