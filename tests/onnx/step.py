"""Makes tests/golden/torch-*: small networks of PyTorch as ONNX files, and what one step of SGD makes of their weights.

    python3 tests/onnx/step.py tests/golden        (torch, onnx; run once: the files stay as they are)

NAME.safetensors holds the input, the outputs in evaluation, and every parameter after a step in training mode with learning
rate 0.1 on the mean square of the outputs, by the names that reading NAME.onnx gives the layers: PyTorch's, but for the last
one, which is called like the output, and LSTMs. tests/test_step.c takes the same step after reading NAME.onnx.
"""
import json
import struct
import sys

import numpy as np
import torch
from torch import nn


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.b1, self.pool = nn.Conv2d(3, 8, 5, 2, 2, bias=False), nn.BatchNorm2d(8), nn.MaxPool2d(3, 2, 1)
        self.c2, self.b2 = nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.d, self.c3, self.fc = nn.Conv2d(8, 12, 1, 2), nn.Conv2d(8, 12, 3, 2, 1), nn.Linear(12, 7)

    def forward(self, x):
        x = self.pool(torch.relu(self.b1(self.c1(x))))
        y = torch.relu(x + self.b2(self.c2(x)))
        y = torch.relu(self.d(y) + self.c3(y))
        return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(y, 1), 1))


class Mobile(nn.Module):
    def __init__(self):
        super().__init__()
        self.c, self.dw = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 6, 3, 2, 1, groups=6)
        self.f1, self.f2, self.fc = nn.Conv2d(6, 3, 1), nn.Conv2d(3, 6, 1), nn.Linear(6 * 7 * 9, 2)

    def forward(self, x):
        x = nn.functional.relu6(self.dw(nn.functional.hardswish(self.c(x))))
        x = x * nn.functional.hardsigmoid(self.f2(torch.relu(self.f1(x.mean([2, 3], keepdim=True)))))
        return self.fc(x.view(x.size(0), -1))


class Rows(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.fc = nn.LSTM(14, 6, num_layers=2, batch_first=True), nn.Linear(6, 5)

    def forward(self, x):
        y, _ = self.lstm(x.squeeze(1))
        return self.fc(y[:, -1])


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, (5, 3), padding=(2, 1)), nn.Conv2d(8, 4, 3)
        self.up, self.pool, self.n, self.fc = nn.Upsample(scale_factor=2), nn.AvgPool2d(2), nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, x):
        y = torch.cat([nn.functional.gelu(self.a(x)), nn.functional.leaky_relu(self.b(x), 0.2)], 1)
        y = nn.functional.elu(self.c(self.pool(self.up(self.pool(y)))))
        return self.fc(self.n((torch.sigmoid(y) * nn.functional.silu(y)).mean((2, 3))))


def save(path, arrays):
    """The safetensors format: the header's length, the header, the numbers."""
    header, at = {}, 0
    for name, a in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(a.tobytes() for a in arrays.values()))


def number(t):
    return np.ascontiguousarray(t.detach().numpy(), dtype="<f4")


def trained(model):
    """By the names in mien; an LSTM's two biases are one there."""
    p = {k.replace("fc.", "output."): v for k, v in model.named_parameters()}
    for k in [k for k in p if "weight_ih" in k]:
        layer = "lstm" if k.endswith("l0") else "lstm/LSTM_1"
        p[layer + "/kernel"] = p.pop(k)
        p[layer + "/recurrent_kernel"] = p.pop(k.replace("_ih", "_hh"))
        k = k.replace("weight", "bias")
        p[layer + "/bias"] = p.pop(k) + p.pop(k.replace("_ih", "_hh"))
    return {k: number(v) for k, v in p.items()}


def make(name, model, shape):
    x = torch.rand(4, *shape) * 2 - 1
    for m in model.modules():
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)):
            m.running_mean.uniform_(-0.3, 0.3), m.running_var.uniform_(0.5, 1.5)
    model.eval()
    arrays = {"input": number(x), "output": number(model(x))}
    torch.onnx.export(model, x, name + ".onnx", input_names=["input"], output_names=["output"], opset_version=13,
                      do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE,
                      dynamic_axes={"input": {0: "N"}, "output": {0: "N"}}, dynamo=False)
    model.train()
    for k, v in model.named_parameters():
        v.requires_grad = "bias_hh" not in k  # or the sum of both biases would move twice as far
    sgd = torch.optim.SGD([v for v in model.parameters() if v.requires_grad], lr=0.1)
    model(x).square().mean().backward()
    sgd.step()
    arrays.update(trained(model))
    save(name + ".safetensors", arrays)


torch.manual_seed(0)
for kind, shape in ((Residual, (3, 19, 26)), (Mobile, (1, 13, 17)), (Rows, (1, 9, 14)), (Mixed, (3, 11, 14))):
    make("%s/torch-%s" % (sys.argv[1], kind.__name__.lower()), kind(), shape)
