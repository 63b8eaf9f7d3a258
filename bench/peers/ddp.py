"""One worker of PyTorch's own training of a bench model: DistributedDataParallel over Gloo, or alone.

usage: torchrun --nproc-per-node N bench/peers/ddp.py MODEL STEPS [ddp|fsdp2|alone] [gloo|shoal|shared]

CHANNELS_LAST=1: pictures and kernels with channels last.
shared: shoal, with tensors in shared memory.
Prints the seconds of each step as JSON (rank 0), and where START is set (seconds since 1970), the
seconds from there to the end of the first step. Same models, batch and optimizer as bench/training.py.
"""
import json
import os
import sys
import time

import torch
import torch.distributed as dist
import torch.nn as nn
import torch.nn.functional as F


class Residual(nn.Module):
    def __init__(self, channels, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Sequential()
        if stride != 1 or channels != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, outputs, 1, stride, bias=False),
                                          nn.BatchNorm2d(outputs))

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x))


def resnet18():
    """The CIFAR form."""
    layers = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    channels = 64
    for stage, outputs in enumerate((64, 128, 256, 512)):
        layers += [Residual(channels, outputs, 1 if stage == 0 else 2), Residual(outputs, outputs, 1)]
        channels = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


MODELS = {
    "resnet18": resnet18,
    "mynet": lambda: nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.Dropout2d(0.5), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.Dropout2d(0.75),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 20), nn.ReLU(),
        nn.Linear(20, 10)),
    "wide": lambda: nn.Sequential(
        *[m for _ in range(4) for m in (nn.Linear(2048, 2048), nn.ReLU())], nn.Linear(2048, 10)),
}
SHAPES = {"mynet": (1, 28, 28), "wide": (2048,), "resnet18": (3, 32, 32)}
BATCH = {"mynet": 128, "wide": 64, "resnet18": 64}


def main():
    name, steps = sys.argv[1], int(sys.argv[2])
    mode = sys.argv[3] if len(sys.argv) > 3 else "ddp"
    backend = sys.argv[4] if len(sys.argv) > 4 else "gloo"
    world = int(os.environ.get("WORLD_SIZE", "1"))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if world > 1:
        if backend != "gloo":
            import shoal
        dist.init_process_group(backend if backend == "gloo" else "shoal")
        if backend == "shared" and not shoal.share_tensors():
            sys.exit("the ranks share no memory")
    rank = dist.get_rank() if world > 1 else 0
    if "PIN" in os.environ:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[int(os.environ.get("LOCAL_RANK", "0"))]})
    model = MODELS[name]()
    last = "CHANNELS_LAST" in os.environ
    if last:
        model = model.to(memory_format=torch.channels_last)
    if world > 1 and mode == "ddp":
        model = nn.parallel.DistributedDataParallel(model)
    elif world > 1 and mode == "fsdp2":
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard
        fully_shard(model, mesh=init_device_mesh("cpu", (world,)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    samples = BATCH[name] // world
    x, y = torch.randn(samples, *SHAPES[name]), torch.randint(10, (samples,))
    if last:
        x = x.to(memory_format=torch.channels_last)
    seconds, first_step = [], None
    for _ in range(steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
        if first_step is None and "START" in os.environ:
            first_step = time.time() - float(os.environ["START"])
    if world > 1 and mode != "ddp":  # the slower worker of each step
        everybody = [None] * world
        dist.all_gather_object(everybody, seconds)
        seconds = [max(step) for step in zip(*everybody)]
    if rank == 0:
        print(json.dumps({"seconds": seconds[1:], "first_step": first_step}), flush=True)
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
