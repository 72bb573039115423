"""One training run of seed2 on FER2013 in PyTorch: python3 epoch_peer.py FER2013.csv ROWS EPOCHS THREADS AUGMENT

The training rows among the first ROWS of the file, batch 32, SGD with momentum 0.9 and learning rate 0.01, in channels_last.
AUGMENT 1: each picture of each epoch is mirrored by chance, rotated by up to 10 degrees, moved by up to a tenth of its
size and zoomed by up to a tenth, a batch at a time by grid_sample, which is the fastest way PyTorch has on a CPU; 0: no
changes. tests/bench/epoch.sh runs it with 1 and with 3 epochs beside `mien train` and compares processor time."""
import os, sys

path, rows, epochs, threads, augment = sys.argv[1], *map(int, sys.argv[2:6])
os.environ["OMP_NUM_THREADS"] = str(threads)
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(threads)
torch.set_flush_denormal(True)
torch.manual_seed(1)


def read():
    pixels, labels = [], []
    with open(path) as f:
        next(f)
        for line in list(zip(f, range(rows))):
            label, picture, usage = line[0].strip().split(",")
            if usage == "Training":
                pixels.append(torch.tensor([int(v) for v in picture.split()], dtype=torch.uint8))
                labels.append(int(label))
    return torch.stack(pixels).view(-1, 1, 48, 48), torch.tensor(labels)


def changed(x):
    """x (N,1,48,48), each picture under a random affine map."""
    n = len(x)
    uniform = lambda most: (torch.rand(n) * 2 - 1) * most
    angle, zoom, mirror = uniform(10 * 3.14159 / 180), 1 + uniform(0.1), torch.randint(0, 2, (n,)) * 2.0 - 1
    c, s = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    maps = torch.stack([c * mirror, -s, uniform(0.2), s * mirror, c, uniform(0.2)], 1).view(n, 2, 3)  # 2 is the full width
    return F.grid_sample(x, F.affine_grid(maps, list(x.shape), align_corners=False), padding_mode="border", align_corners=False)


net = nn.Sequential(
    nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128 * 12 * 12, 256), nn.ReLU(), nn.Dropout(0.5),
    nn.Linear(256, 7)).to(memory_format=torch.channels_last)
optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
x, y = read()
for epoch in range(epochs):
    order, total = torch.randperm(len(x)), 0.0
    for i in range(0, len(x) - 31, 32):
        batch = x[order[i:i + 32]].float() / 255
        if augment:
            batch = changed(batch)
        optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(batch.contiguous(memory_format=torch.channels_last)), y[order[i:i + 32]])
        loss.backward()
        optimiser.step()
        total += loss.item()
    print(f"epoch {epoch + 1}: {len(x)} rows, loss {total / (len(x) // 32):.4f}", flush=True)
