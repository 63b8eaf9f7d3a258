"""PyTorch's DataLoader over a folder of pictures, decoded by PIL or OpenCV.

usage: bench/peers/torch_pictures.py FOLDER WORKERS [pil|cv2]

FOLDER/CLASS/FILE. A sample is what torchvision's ToTensor and Normalize make of a picture: float32, channels
first, by tensors' own operations. Goes over all batches of 64 once, then again with the same workers
for a second or more, and prints as JSON how many samples a second they give.
"""
import json
import pathlib
import sys
import time

import numpy
import torch
from torch.utils.data import DataLoader, Dataset

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
DEVIATION = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def with_pil(path):
    from PIL import Image

    with Image.open(path) as picture:
        return numpy.array(picture.convert("RGB"))


def with_cv2(path):
    import cv2

    return cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)


class Pictures(Dataset):
    def __init__(self, folder, decode):
        classes = sorted(p.name for p in pathlib.Path(folder).iterdir() if p.is_dir())
        self.decode = decode
        self.samples = [(str(file), label) for label, name in enumerate(classes)
                        for file in sorted((pathlib.Path(folder) / name).iterdir())]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        path, label = self.samples[index]
        picture = torch.from_numpy(self.decode(path)).permute(2, 0, 1).contiguous()
        return picture.to(torch.float32).div_(255).sub_(MEAN).div_(DEVIATION), label


def main():
    folder, workers, decoder = sys.argv[1], int(sys.argv[2]), (sys.argv[3:] + ["pil"])[0]
    torch.set_num_threads(1)
    if decoder == "cv2":
        import cv2

        cv2.setNumThreads(0)
    data = Pictures(folder, {"pil": with_pil, "cv2": with_cv2}[decoder])
    loader = DataLoader(data, batch_size=64, num_workers=workers, persistent_workers=workers > 0)
    for _ in loader:
        pass
    start, samples = time.perf_counter(), 0
    while time.perf_counter() - start < 1:
        for _ in loader:
            pass
        samples += len(data)
    print(json.dumps({"samples_per_second": samples / (time.perf_counter() - start)}))


if __name__ == "__main__":
    main()
