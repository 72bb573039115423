"""The named networks in PyTorch, for comparison: python3 torch_peer.py NET MODE BATCH THREADS LAYOUT SECONDS [HOW]

NET seed2|mini-xception|vgg, MODE train|infer, LAYOUT nchw|channels_last. One JSON line: median and best ms of a
step, the least processor time of a step, images/s, peak memory. A training step is forward, cross-entropy,
backward and SGD with momentum on data that is already in memory, as in `mien bench`. HOW, for a GPU: cuda, and
with + any of tf32, bf16, fused (the optimiser), graph (the step as a CUDA graph), compile (torch.compile).

    python3 torch_peer.py serve THREADS

answers such lines (NET MODE BATCH LAYOUT SECONDS HOW) from its input, one JSON line each, until it ends: PyTorch is
loaded once, and what was prepared for the last few rows is kept for the next round. What goes wrong is a line with
"error"."""
import json, os, resource, sys, time

serving = sys.argv[1:2] == ["serve"]
threads = int(sys.argv[2 if serving else 4])
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(threads)
torch.set_flush_denormal(True)
torch.backends.cudnn.benchmark = True


def conv(i, o, k=3, **more):
    return nn.Conv2d(i, o, k, **more)


def seed2():
    return nn.Sequential(
        conv(1, 32, padding=1), nn.ReLU(), nn.MaxPool2d(2), conv(32, 64, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        conv(64, 128, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128 * 12 * 12, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 7))


def vgg():
    layers, i = [], 1
    for o, n in ((64, 2), (128, 2), (256, 3), (512, 3)):
        for _ in range(n):
            layers += [conv(i, o, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True)]
            i = o
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512 * 9, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 7))


class Module(nn.Module):
    """A residual module of mini-Xception (Arriaga et al. 2017)."""

    def __init__(self, i, o):
        super().__init__()
        separable = lambda a, b: nn.Sequential(conv(a, a, padding=1, groups=a, bias=False), conv(a, b, 1, bias=False), nn.BatchNorm2d(b))
        self.main = nn.Sequential(separable(i, o), nn.ReLU(), separable(o, o), nn.MaxPool2d(3, 2, 1))
        self.side = nn.Sequential(conv(i, o, 1, stride=2, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        return self.main(x) + self.side(x)


def mini_xception():
    return nn.Sequential(
        conv(1, 8, bias=False), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 8, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        Module(8, 16), Module(16, 32), Module(32, 64), Module(64, 128), conv(128, 7, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


NETS = {"seed2": (seed2, 48), "mini-xception": (mini_xception, 64), "vgg": (vgg, 48)}


def prepare(net, mode, batch, layout, how):
    """A function that makes one step."""
    torch.manual_seed(0)
    cuda = "cuda" in how
    make, side = NETS[net]
    model = make()
    x, y = torch.randn(batch, 1, side, side), torch.randint(0, 7, (batch,))
    if cuda:
        model, x, y = model.cuda(), x.cuda(), y.cuda()
    if layout == "channels_last":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    forward = torch.compile(model) if "compile" in how else model
    half = torch.autocast("cuda", torch.bfloat16, enabled="bf16" in how)
    if mode == "train":
        optimiser = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9, **(dict(fused=True) if "fused" in how else {}))

        def step():
            optimiser.zero_grad(set_to_none=True)
            with half:
                loss = F.cross_entropy(forward(x), y)
            loss.backward()
            optimiser.step()
    else:
        model.eval()

        def step():
            with torch.inference_mode(), half:
                forward(x)

    if "graph" in how:
        eager, stream = step, torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(5):
                eager()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            eager()
        step = graph.replay
    return step


prepared = {}


def measure(net, mode, batch, layout, seconds, how):
    how = set(how.split("+")) if how else set()
    cuda = "cuda" in how
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = "tf32" in how

    def finished():
        """A step as mien bench measures it: until the GPU has done it."""
        step()
        if cuda:
            torch.cuda.synchronize()

    key = net, mode, batch, layout, "+".join(sorted(how))
    if key in prepared:
        step = prepared[key]
    else:
        if len(prepared) >= 8:
            prepared.clear()
            if cuda:
                torch.cuda.empty_cache()
        step = prepared[key] = prepare(net, mode, batch, layout, how)
        for _ in range(10 if cuda else 3):
            finished()
    finished()
    wall, cpu, end = [], [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(wall) < 3:
        w, c = time.perf_counter(), time.process_time()
        finished()
        wall.append(1e3 * (time.perf_counter() - w))
        cpu.append(1e3 * (time.process_time() - c))
    wall.sort()
    median = wall[len(wall) // 2]
    return dict(net=net, mode=mode, batch=batch, threads=threads, layout=layout, how=key[-1], version=torch.__version__, steps=len(wall),
                median_ms=round(median, 4), best_ms=round(wall[0], 4), cpu_ms=round(min(cpu), 3), images_s=round(1e3 * batch / median, 1),
                rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1))


if serving:
    for line in sys.stdin:
        try:
            net, mode, batch, layout, seconds, how = (line.split() + [""])[:6]
            answer = measure(net, mode, int(batch), layout, float(seconds), how)
        except Exception as e:  # a way that this PyTorch or this GPU does not have
            answer = dict(error=str(e).splitlines()[0][:200] if str(e) else type(e).__name__)
        print(json.dumps(answer), flush=True)
else:
    net, mode, batch, _, layout, seconds, how = (sys.argv[1:] + [""])[:7]
    print(json.dumps(measure(net, mode, int(batch), layout, float(seconds), how)))
