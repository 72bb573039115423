"""Writes networks of PyTorch as ONNX files into a folder: python3 tests/onnx/pytorch.py FOLDER

With each NAME.onnx: NAME.in.npy, the input; NAME.out.npy, what PyTorch computes. Status 77: torch cannot export here.
"""
import sys

try:
    import numpy as np
    import torch
    from torch import nn
except ImportError as e:
    print("skipped:", e)
    sys.exit(77)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.b1, self.pool = nn.Conv2d(3, 16, 7, 2, 3, bias=False), nn.BatchNorm2d(16), nn.MaxPool2d(3, 2, 1)
        self.c2, self.b2 = nn.Conv2d(16, 16, 3, 1, 1), nn.BatchNorm2d(16)
        self.d, self.c3, self.fc = nn.Conv2d(16, 32, 1, 2), nn.Conv2d(16, 32, 3, 2, 1), nn.Linear(32, 7)

    def forward(self, x):
        x = self.pool(torch.relu(self.b1(self.c1(x))))
        y = torch.relu(x + self.b2(self.c2(x)))
        y = torch.relu(self.d(y) + self.c3(y))
        return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(y, 1), 1))


class Mobile(nn.Module):
    def __init__(self):
        super().__init__()
        self.c, self.dw = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, 2, 1, groups=8)
        self.f1, self.f2, self.fc = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1), nn.Linear(8 * 10 * 13, 2)

    def forward(self, x):
        x = nn.functional.relu6(self.dw(nn.functional.hardswish(self.c(x))))
        gate = nn.functional.hardsigmoid(self.f2(torch.relu(self.f1(x.mean([2, 3], keepdim=True)))))
        x = x * gate
        return self.fc(x.view(x.size(0), -1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.fc = nn.LSTM(26, 11, num_layers=2, batch_first=True), nn.Linear(11, 5)

    def forward(self, x):
        y, _ = self.lstm(x.squeeze(1))
        return self.fc(y[:, -1])


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(3, 6, 5, padding=2), nn.Conv2d(12, 4, 3, padding=1)
        self.up, self.pool, self.last = nn.Upsample(scale_factor=2), nn.AvgPool2d(2), nn.MaxPool2d(3, 2, ceil_mode=True)
        self.pad, self.fc, self.drop = nn.ZeroPad2d((1, 2, 0, 1)), nn.Linear(4 * 10 * 14, 9), nn.Dropout(0.5)

    def forward(self, x):
        y = torch.cat([nn.functional.gelu(self.a(x)), nn.functional.leaky_relu(self.b(x), 0.2)], 1)
        y = self.pad(nn.functional.elu(self.c(self.last(self.pool(self.up(y))))))
        y = torch.clamp(nn.functional.silu(y) * 1.5 - 0.25, -1, 2)
        return self.fc(self.drop(y[:, :, :10, :14].reshape(y.shape[0], -1)))


class Split(nn.Module):
    def __init__(self):
        super().__init__()
        self.c, self.slope, self.norm, self.f = nn.Conv2d(3, 8, 3, padding=1), nn.PReLU(), nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, x):
        a, b = self.c(x).chunk(2, 1)
        return self.f(self.norm((torch.sigmoid(a) * self.slope(b)).mean((2, 3))))


torch.manual_seed(0)
for model, shape in ((Residual(), (3, 33, 45)), (Mobile(), (1, 19, 26)), (Recurrent(), (1, 21, 26)), (Mixed(), (3, 21, 28)),
                     (Split(), (3, 9, 11))):
    for m in model.modules():
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)):
            m.running_mean.uniform_(-0.3, 0.3), m.running_var.uniform_(0.5, 1.5)
    model.eval()
    x = torch.rand(3, *shape) * 2 - 1
    for free in (False, True):
        path = "%s/%s%d" % (sys.argv[1], type(model).__name__.lower(), free)
        axes = {"input": {0: "N"}, "output": {0: "N"}} if free else None
        more = {"dynamo": False} if int(torch.__version__.split(".")[0]) >= 2 else {}
        try:
            torch.onnx.export(model, x, path + ".onnx", input_names=["input"], output_names=["output"], opset_version=13,
                              do_constant_folding=not free, dynamic_axes=axes, **more)
        except (ImportError, ModuleNotFoundError) as e:
            print("skipped:", e)
            sys.exit(77)
        np.save(path + ".in.npy", x.numpy())
        np.save(path + ".out.npy", model(x).detach().numpy())
