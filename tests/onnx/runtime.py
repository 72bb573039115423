"""Runs every NAME.onnx of a folder in ONNX Runtime, after ONNX's checker: python3 tests/onnx/runtime.py FOLDER

NAME.in.npy is the input, NAME.out0.npy, NAME.out1.npy, ... the outputs that mien computed. Fails above 1e-5; status 77: the
packages onnx or onnxruntime are missing.
"""
import glob
import sys

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as e:
    print("skipped:", e)
    sys.exit(77)

failed = False
for path in sorted(glob.glob(sys.argv[1] + "/*.onnx")):
    onnx.checker.check_model(onnx.load(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    result = session.run(None, {session.get_inputs()[0].name: np.load(path[:-5] + ".in.npy")})
    want = [np.load(path[:-5] + ".out%d.npy" % i) for i in range(len(result))]
    worst = max(float(np.abs(y - w).max()) for y, w in zip(result, want))
    failed |= not worst <= 1e-5
    print("%-40s differs by at most %.2g" % (path.split("/")[-1], worst))
sys.exit(failed)
