"""PyTorch's side of 45_cifar10_beside_pytorch.py, under torchrun.

usage: torchrun --nproc-per-node N cifar10_of_pytorch.py FOLDER RECIPE

RECIPE: JSON with epochs, batch, lr, momentum, weight_decay, warmup_steps and seed. Rank 0 prints
{"accuracy": share}.
"""
import json
import math
import sys
from pathlib import Path

import numpy
import torch
import torch.distributed as dist
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench/peers"))
import ddp

MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)
DEVIATION = torch.tensor([0.2470, 0.2435, 0.2616]).view(3, 1, 1)


def read(folder):
    classes = sorted(entry.name for entry in folder.iterdir())
    files = [(file, label) for label, name in enumerate(classes)
             for file in sorted((folder / name).iterdir())]
    pictures = numpy.stack([numpy.asarray(Image.open(file).convert("RGB")) for file, _ in files])
    return (torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(),
            torch.tensor([label for _, label in files]))


def scaled(pictures):
    return (pictures.float() / 255 - MEAN) / DEVIATION


def augmented(pictures, generator):
    """A window out of each picture with a black border of 4 pixels, mirrored or not."""
    count = len(pictures)
    padded = F.pad(pictures, (4, 4, 4, 4))
    tops, lefts = torch.randint(9, (2, count), generator=generator).tolist()
    cut = torch.stack([padded[i, :, tops[i]:tops[i] + 32, lefts[i]:lefts[i] + 32]
                       for i in range(count)])
    mirror = torch.rand(count, generator=generator) < 0.5
    return torch.where(mirror.view(-1, 1, 1, 1), cut.flip(3), cut)


def he_values(model):
    """torchvision's initial values of residual networks."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def rate(recipe, step, steps):
    warmup = recipe["warmup_steps"]
    if step < warmup:
        return recipe["lr"] * (step + 1) / warmup
    return recipe["lr"] * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def accuracy(model, folder, short):
    pictures, labels = read(folder)
    model.eval()
    correct = 0
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=short):
        for start in range(0, len(labels), 500):
            inputs = scaled(pictures[start:start + 500]).to(memory_format=torch.channels_last)
            correct += (model(inputs).argmax(1) == labels[start:start + 500]).sum().item()
    return correct / len(labels)


def main():
    folder, recipe = Path(sys.argv[1]), json.loads(sys.argv[2])
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    short = recipe["precision"] == "bf16"
    torch.manual_seed(recipe["seed"])
    plain = ddp.resnet18()
    he_values(plain)
    plain = plain.to(memory_format=torch.channels_last)
    model = nn.parallel.DistributedDataParallel(plain)
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe["lr"], momentum=recipe["momentum"],
                                weight_decay=recipe["weight_decay"], nesterov=True)
    pictures, labels = read(folder / "train")
    batch = recipe["batch"]
    steps = recipe["epochs"] * math.ceil(len(labels) / batch)
    own = torch.Generator().manual_seed(1000 * recipe["seed"] + rank)
    step = 0
    for epoch in range(recipe["epochs"]):
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(
            100 * recipe["seed"] + epoch))
        for start in range(0, len(labels), batch):
            rows = order[start:start + batch][rank::world]
            for group in optimizer.param_groups:
                group["lr"] = rate(recipe, step, steps)
            inputs = scaled(augmented(pictures[rows], own)).to(memory_format=torch.channels_last)
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=short):
                output = model(inputs)
            F.cross_entropy(output.float(), labels[rows]).backward()
            optimizer.step()
            step += 1
    if rank == 0:
        print(json.dumps({"accuracy": accuracy(plain, folder / "test", short)}), flush=True)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
