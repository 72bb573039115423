"""The named networks in ONNX Runtime, for comparison: python3 onnx_peer.py NET BATCH THREADS SECONDS

NET seed2|mini-xception|vgg. Inference alone, with random weights and batch norm folded, as the runtime would fold it. One JSON line as of
torch_peer.py. Needs the packages numpy, onnx and onnxruntime.
"""
import json, resource, sys, time
import numpy, onnx, onnxruntime
from onnx import TensorProto, helper, numpy_helper

net, batch, threads, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
side = {"seed2": 48, "mini-xception": 64, "vgg": 48}[net]
random = numpy.random.default_rng(0)
nodes, weights = [], []


def weight(*shape):
    values = random.standard_normal(shape) / numpy.sqrt(max(1, numpy.prod(shape[1:])))
    weights.append(numpy_helper.from_array(values.astype(numpy.float32), f"w{len(weights)}"))
    return weights[-1].name


def node(kind, inputs, **attributes):
    nodes.append(helper.make_node(kind, inputs, [f"t{len(nodes)}"], **attributes))
    return nodes[-1].output[0]


def conv(x, i, o, size=3, padding=1, stride=1, groups=1, bias=True):
    return node("Conv", [x, weight(o, i // groups, size, size)] + ([weight(o)] if bias else []), kernel_shape=[size] * 2,
                pads=[padding] * 4, strides=[stride] * 2, group=groups)


def relu(x):
    return node("Relu", [x])


def pool(x, size=2, padding=0):
    return node("MaxPool", [x], kernel_shape=[size] * 2, strides=[2, 2], pads=[padding] * 4)


def dense(x, i, o):
    return node("Gemm", [x, weight(o, i), weight(o)], transB=1)


def seed2(x):
    x = pool(relu(conv(pool(relu(conv(x, 1, 32))), 32, 64)))
    x = node("Flatten", [relu(conv(x, 64, 128))])
    return dense(relu(dense(x, 128 * 12 * 12, 256)), 256, 7)


def vgg(x):
    i = 1
    for o, n in ((64, 2), (128, 2), (256, 3), (512, 3)):
        for _ in range(n):
            x, i = relu(conv(x, i, o)), o
        x = pool(x)
    return dense(relu(dense(node("Flatten", [x]), 512 * 9, 512)), 512, 7)


def mini_xception(x):
    def separable(x, i, o):
        return conv(conv(x, i, i, groups=i, bias=False), i, o, 1, 0)

    x = relu(conv(relu(conv(x, 1, 8, padding=0)), 8, 8, padding=0))
    for i, o in ((8, 16), (16, 32), (32, 64), (64, 128)):
        side_way = conv(x, i, o, 1, 0, 2)
        x = node("Add", [pool(separable(relu(separable(x, i, o)), o, o), 3, 1), side_way])
    return node("Flatten", [node("GlobalAveragePool", [conv(x, 128, 7)])])


y = {"seed2": seed2, "mini-xception": mini_xception, "vgg": vgg}[net]("x")
graph = helper.make_graph(nodes, net, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 1, side, side])],
                          [helper.make_tensor_value_info(y, TensorProto.FLOAT, [batch, 7])], weights)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
onnx.checker.check_model(model)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
x = random.standard_normal((batch, 1, side, side)).astype(numpy.float32)
for _ in range(3):
    session.run(None, {"x": x})
wall, cpu, end = [], [], time.perf_counter() + seconds
while time.perf_counter() < end or len(wall) < 5:
    w, c = time.perf_counter(), time.process_time()
    session.run(None, {"x": x})
    wall.append(1e3 * (time.perf_counter() - w))
    cpu.append(1e3 * (time.process_time() - c))
wall.sort()
median = wall[len(wall) // 2]
print(json.dumps(dict(net=net, mode="infer", batch=batch, threads=threads, version=onnxruntime.__version__, steps=len(wall),
                      median_ms=round(median, 3), best_ms=round(wall[0], 3), cpu_ms=round(min(cpu), 3), images_s=round(1e3 * batch / median, 1),
                      rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1))))
