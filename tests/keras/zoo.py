"""Model files of unusual but documented Keras configurations, against mien: the same outputs, or a refusal that names the layer.

    make build/run_model && python3 tests/keras/zoo.py [--keep DIR]      (tensorflow; tf_keras adds what Keras 2 writes)

Each model has random weights and statistics and is written by its Keras as .h5; build/run_model computes it. Pictures are
(N,H,W,C) there and (N,C,H,W) here. Outputs are probabilities there and logits here, so an output that ends in softmax gets
one. "old" is the same file with only the fields that Keras 2.1 knew. Without TensorFlow the script says so and ends well.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
warnings.filterwarnings("ignore", category=UserWarning)
try:
    import h5py
    import keras
    import numpy as np
    from absl import logging
except ImportError as e:
    print("skipped: %s" % e)
    sys.exit(0)
logging.set_verbosity(logging.ERROR)  # .h5 is old, says Keras at each file
LIMIT = 1e-4
RUN = os.environ.get("RUN_MODEL", "build/run_model")


# ---- the models: name, builder, and for a refusal the words that the sentence must hold ----

def chain(K, shape, *layers):
    return K.Sequential([K.layers.Input(shape), *layers])


def zoo(K):
    L = K.layers

    def head(*more):
        return [L.Flatten(), L.Dense(5, activation="softmax"), *more]

    def branches():
        x = L.Input((9, 7, 3), name="picture")
        a = L.Conv2D(4, 3, padding="same", name="left")(x)
        b = L.SeparableConv2D(4, (3, 1), padding="same", name="right")(x)
        y = L.Concatenate(name="both")([L.Add(name="sum")([a, b]), L.Activation("sigmoid")(a)])
        y = L.GlobalAveragePooling2D()(y)
        return K.Model(x, [L.Dense(3, activation="softmax", name="kind")(y), L.Dense(1, activation="sigmoid", name="yes")(y),
                           L.Dense(2, name="point")(y)])

    def two_inputs():
        x, z = L.Input((6, 5, 1), name="picture"), L.Input((4,), name="row")
        y = L.Concatenate()([L.Flatten()(L.Conv2D(2, 3)(x)), L.Dense(3, activation="tanh")(z)])
        return K.Model([x, z], L.Dense(2)(L.BatchNormalization()(y)))

    def nested(inner_functional):
        inner = chain(K, (8, 8, 2), L.Conv2D(3, 3, name="inner_conv"), L.BatchNormalization(name="inner_norm"),
                      L.ReLU(name="inner_relu"))
        if inner_functional:
            x = L.Input((8, 8, 2), name="inner_in")
            inner = K.Model(x, L.ReLU(name="inner_relu")(L.Conv2D(3, 3, name="inner_conv")(x)), name="inner")
        x = L.Input((8, 8, 2))
        return K.Model(x, L.Dense(2, name="after")(L.GlobalAveragePooling2D()(inner(x))))

    def nested_first():  # Keras 2 has no place for two weights of one name in a group
        own = "" if K is keras else "deep_"
        x = L.Input((8, 8, 2), name="picture")
        y = L.BatchNormalization(name="norm")(L.Conv2D(3, 3, name="conv", activation="leaky_relu")(x))
        deep = chain(K, (6, 6, 3), L.SeparableConv2D(3, 3, padding="same", name=own + "conv"), L.BatchNormalization(name=own + "norm"))
        inner = K.Model(x, L.Add()([y, deep(y)]), name="features")
        return chain(K, (8, 8, 2), inner, L.Flatten(), L.Dense(3, name="conv"), L.BatchNormalization(name="norm"), L.Dense(2, activation="softmax"))

    def nested_two():
        a, b = L.Input((6, 5, 2), name="a"), L.Input((6, 5, 2), name="b")
        inner = K.Model([b, a], L.Concatenate()([L.Conv2D(2, 2, name="left")(a), L.Conv2D(3, 2, name="right")(b)]), name="pair")
        x = L.Input((6, 5, 2))
        z = L.ReLU()(x)
        return K.Model(x, L.Dense(2)(L.Flatten()(inner([x, z]))))

    def nested_outputs():
        x = L.Input((6, 5, 2))
        inner = K.Model(x, [L.Conv2D(2, 2)(x), L.Conv2D(2, 2)(x)], name="forked")
        y = L.Input((6, 5, 2))
        return K.Model(y, L.Dense(2)(L.Flatten()(L.Add()(inner(y)))))

    def shared():
        x = L.Input((8, 8, 2))
        conv = L.Conv2D(2, 3, padding="same", name="twice")
        return K.Model(x, L.GlobalAveragePooling2D()(conv(conv(x))))

    return [
        ("separable-multiplier", lambda: chain(K, (11, 8, 3), L.SeparableConv2D(5, (3, 2), strides=2, depth_multiplier=2, padding="same"), *head())),
        ("separable-dilated", lambda: chain(K, (11, 8, 3), L.SeparableConv2D(4, 3, dilation_rate=2, use_bias=False, activation="elu"), *head())),
        ("depthwise-multiplier", lambda: chain(K, (10, 7, 2), L.DepthwiseConv2D((2, 3), strides=2, depth_multiplier=3, padding="same"), *head())),
        ("conv-dilated-valid", lambda: chain(K, (12, 9, 2), L.Conv2D(4, (3, 2), dilation_rate=(2, 3), activation="tanh"), *head())),
        ("conv-groups", lambda: chain(K, (7, 9, 4), L.Conv2D(6, 3, groups=2, strides=(2, 1), padding="same"), *head())),
        ("pools-same-odd", lambda: chain(K, (11, 13, 2), L.MaxPooling2D(3, strides=2, padding="same"), L.AveragePooling2D((2, 3), padding="same"), *head())),
        ("pools-valid-odd", lambda: chain(K, (11, 13, 2), L.MaxPooling2D((3, 2)), L.AveragePooling2D(2, strides=1), *head())),
        ("reshape", lambda: chain(K, (6, 4, 3), L.Reshape((8, 3, 3)), L.Conv2D(2, 3), L.Flatten(), L.Dense(4))),
        ("reshape-features", lambda: chain(K, (24,), L.Reshape((6, 4, 1)), L.Conv2D(2, 3), L.Flatten(), L.Dense(4))),
        ("reshape-open", lambda: chain(K, (6, 4, 3), L.Conv2D(2, 1), L.Reshape((-1, 2, 2)), L.GlobalAveragePooling2D(), L.Dense(2))),
        ("reshape-channels", lambda: chain(K, (6, 4, 4), L.Reshape((6, 8, 2), name="mix"), L.Conv2D(2, 3), L.GlobalAveragePooling2D()), "Reshape", "mix"),
        ("reshape-to-steps", lambda: chain(K, (6, 4, 3), L.Reshape((6, 12), name="rows"), L.LSTM(3)), "?"),
        ("leaky-relu", lambda: chain(K, (7, 6, 2), L.Conv2D(3, 3), L.LeakyReLU(0.13), L.Conv2D(2, 2), L.LeakyReLU(), L.Activation("leaky_relu"), *head())),
        ("leaky-relu-word", lambda: chain(K, (7, 6, 2), L.Conv2D(3, 3, activation="leaky_relu", name="first"), *head())),
        ("elu", lambda: chain(K, (7, 6, 2), L.Conv2D(3, 3), L.ELU(0.7), L.ELU(), L.Conv2D(2, 2, activation="elu"), *head())),
        ("relu-slope", lambda: chain(K, (7, 6, 2), L.Conv2D(3, 3), L.ReLU(negative_slope=0.2), *head())),
        ("relu6", lambda: chain(K, (7, 6, 2), L.Rescaling(20.0), L.Conv2D(3, 3), L.ReLU(max_value=6.0), *head())),
        ("relu-threshold", lambda: chain(K, (7, 6, 2), L.ReLU(threshold=1.0, name="late"), *head()), "ReLU", "late"),
        ("activations", lambda: chain(K, (12,), *[L.Dense(9, activation=a) for a in ("selu",)], L.Dense(2)), "Dense", "selu"),
        ("activations-smooth", lambda: chain(K, (12,), *[L.Dense(9, activation=a) for a in ("gelu", "swish", "softplus", "softmax", "relu", "linear")])),
        ("softmax-layer", lambda: chain(K, (7,), L.Softmax(), L.Dense(3), L.Softmax())),
        ("softmax-map", lambda: chain(K, (5, 4, 3), L.Conv2D(3, 2, activation="softmax", name="mixed"), *head()), "Conv2D", "mixed"),
        ("activation-layer", lambda: chain(K, (7, 6, 2), L.Conv2D(4, 3, activation=L.LeakyReLU(0.13)), L.SeparableConv2D(3, 2, activation=L.ELU(0.7)), L.Flatten(), L.Dense(5, activation=L.ReLU(max_value=1.5)), L.Dense(3, activation=L.Softmax()))),
        ("relu6-depthwise", lambda: chain(K, (9, 8, 3), L.DepthwiseConv2D(3, strides=2, padding="same"), L.ReLU(6.0), L.ZeroPadding2D(((0, 1), (0, 1))), L.Conv2D(4, 1), L.ReLU(max_value=0.5), *head())),
        ("concatenate-rows", lambda: rows(K)),
        ("steps-unwrapped", lambda: chain(K, (6, 5), L.LSTM(4, return_sequences=True), L.Dense(3, activation="relu"), L.Dropout(0.2), L.Activation("tanh"), L.LSTM(2))),
        ("zero-padding", lambda: chain(K, (6, 5, 2), L.ZeroPadding2D(((1, 2), (0, 3))), L.Conv2D(3, 3, strides=2), L.ZeroPadding2D((2, 1)), *head())),
        ("rescaling", lambda: chain(K, (6, 5, 3), L.Rescaling(1 / 127.5, offset=-1), L.Conv2D(2, 3), *head())),
        ("norm-bare", lambda: chain(K, (6, 5, 3), L.BatchNormalization(scale=False), L.Conv2D(4, 2), L.BatchNormalization(center=False, epsilon=0.01),
                                   L.Flatten(), L.BatchNormalization(center=False, scale=False), L.Dropout(0.5), L.Dense(3))),
        ("dense-on-map", lambda: chain(K, (5, 4, 3), L.Dense(6, activation="relu", name="everywhere"), *head()), "?"),
        ("flatten-wide", lambda: chain(K, (5, 9, 3), L.Conv2D(4, 2), L.Flatten(), L.Dropout(0.3), L.Activation("tanh"), L.Dense(6, use_bias=False), L.Dense(2))),
        ("lstm", lambda: chain(K, (6, 5), L.LSTM(4, return_sequences=True, recurrent_activation="hard_sigmoid" if K is not keras else "sigmoid"),
                              L.TimeDistributed(L.Dense(3, activation="relu")), L.LSTM(3, use_bias=False, activation="relu"), L.Dense(2))),
        ("conv-lstm", lambda: chain(K, (4, 7, 6, 2), L.ConvLSTM2D(3, (3, 2), padding="same", strides=2, return_sequences=True), L.ConvLSTM2D(2, 2), *head())),
        ("time-distributed", lambda: chain(K, (3, 8, 7, 2), L.TimeDistributed(L.Conv2D(3, 3, activation="relu")), L.TimeDistributed(L.BatchNormalization()),
                                          L.TimeDistributed(L.MaxPooling2D(2, padding="same")), L.TimeDistributed(L.Flatten()), L.LSTM(4), L.Dense(2))),
        ("branches", branches),
        ("two-inputs", two_inputs),
        ("multiply", lambda: squeeze(K)),
        ("nested-sequential", lambda: nested(False)),
        ("nested-functional", lambda: nested(True)),
        ("nested-first", nested_first),
        ("nested-two-inputs", nested_two),
        ("nested-outputs", nested_outputs, "Functional", "forked"),
        ("shared-layer", shared, "Conv2D", "twice"),
        ("global-max-pooling", lambda: chain(K, (6, 5, 3), L.GlobalMaxPooling2D(name="top"), L.Dense(2)), "GlobalMaxPooling2D", "top"),
        ("keepdims", lambda: chain(K, (6, 5, 3), L.GlobalAveragePooling2D(keepdims=True, name="kept"), L.Conv2D(2, 1)), "GlobalAveragePooling2D", "kept"),
        ("norm-axis", lambda: chain(K, (6, 5, 3), L.BatchNormalization(axis=1, name="rows"), L.Conv2D(2, 1), *head()), "BatchNormalization", "rows"),
        ("stateful", lambda: chain(K, (6, 5), L.LSTM(2, go_backwards=True, name="back")), "LSTM", "back"),
        ("open-size", lambda: chain(K, (None, None, 3), L.Conv2D(2, 3), L.GlobalAveragePooling2D()), "InputLayer"),
    ]


def rows(K):
    """Joined along height and along width."""
    L = K.layers
    x = L.Input((5, 6, 2))
    y = L.Concatenate(axis=1)([L.Conv2D(3, 1)(x), L.Conv2D(3, (2, 1))(x)])
    y = L.Concatenate(axis=-2)([y, L.Activation("tanh")(y), y])
    return K.Model(x, L.Dense(3)(L.Flatten()(L.AveragePooling2D((2, 4))(y))))


def squeeze(K):
    """Squeeze and excitation: a map times one number a channel."""
    L = K.layers
    x = L.Input((8, 7, 4))
    g = L.Reshape((1, 1, 4))(L.Dense(4, activation="sigmoid")(L.Dense(2, activation="relu")(L.GlobalAveragePooling2D()(x))))
    return K.Model(x, L.Dense(3)(L.GlobalAveragePooling2D()(L.Multiply()([x, g]))))


# ---- files ----

def randomise(model, rng):
    w = [rng.normal(0, 0.4, v.shape).astype("float32") for v in model.weights]
    for i, v in enumerate(model.weights):
        if "moving_variance" in getattr(v, "path", v.name):
            w[i] = np.abs(w[i]) + 0.3
    model.set_weights(w)


# Fields that came after Keras 2.1, or that its readers filled in, with what they were before.
NEWER = {"groups": 1, "keepdims": False, "ragged": False, "sparse": False, "threshold": 0.0, "negative_slope": 0.0, "dtype": "float32",
         "data_format": "channels_last", "noise_shape": None, "seed": None, "trainable": True, "unit_forget_bias": True, "time_major": False,
         "synchronized": False, "optional": False, "module": None, "registered_name": None, "build_config": None, "implementation": None}


def without_newer(o):
    if isinstance(o, dict):
        return {k: without_newer(v) for k, v in o.items() if k not in NEWER or NEWER[k] not in (None, v)}
    return [without_newer(v) for v in o] if isinstance(o, list) else o


def make_old(path):
    with h5py.File(path, "r+") as f:
        config = without_newer(json.loads(f.attrs["model_config"]))
        if config["class_name"] == "Sequential":
            layers = config["config"]["layers"]
            if layers[0]["class_name"] == "InputLayer":  # Keras 2.1: the shape stands in the first layer
                shape = layers[0]["config"].get("batch_input_shape", layers[0]["config"].get("batch_shape"))
                layers = layers[1:]
                layers[0]["config"]["batch_input_shape"] = shape
            config["config"] = layers
        else:
            config["class_name"] = "Model"
        f.attrs["model_config"] = json.dumps(config)
        f.attrs["keras_version"] = "2.1.6"
        f.attrs["training_config"] = "{}"


# ---- running ----

def turned(x, to_keras):
    order = {4: (0, 2, 3, 1), 5: (0, 1, 3, 4, 2)} if to_keras else {4: (0, 3, 1, 2), 5: (0, 1, 4, 2, 3)}
    return np.ascontiguousarray(x.transpose(order[x.ndim]) if x.ndim in order else x)


def ends_in_softmax(model, i):
    names = model.output_names if hasattr(model, "output_names") else [model.layers[-1].name]
    layers = [layer for layer in model.layers if layer.name == names[i]]
    layer = layers[0] if layers else model.layers[-1]
    activation = getattr(layer, "activation", None)
    return "Softmax" in (type(layer).__name__, type(activation).__name__) or getattr(activation, "__name__", "") == "softmax"


def compare(model, path, x, folder):
    """The largest difference, or mien's sentence."""
    files = []
    for i, a in enumerate(x):
        files.append(os.path.join(folder, "in%d.npy" % i))
        np.save(files[-1], turned(a, False))
    out = os.path.join(folder, "out")
    r = subprocess.run([RUN, path, out, *files], capture_output=True, text=True, timeout=100)
    if r.returncode:
        return None, (r.stderr or "ended with status %d" % r.returncode).strip()
    wanted = model(x if len(x) > 1 else x[0], training=False)
    worst = 0.0
    for i, w in enumerate(wanted if isinstance(wanted, (list, tuple)) else [wanted]):
        got = turned(np.load("%s%d.npy" % (out, i)), True)
        if ends_in_softmax(model, i):
            e = np.exp(got - got.max(-1, keepdims=True))
            got = e / e.sum(-1, keepdims=True)
        w = np.asarray(w)
        d = float(np.abs(got - w).max() / max(1.0, np.abs(w).max())) if got.shape == w.shape else np.inf
        worst = max(worst, d if d == d else np.inf)
    return worst, ""


def try_one(K, name, build, words, folder, old, rng):
    K.backend.clear_session()
    model = build()
    randomise(model, rng)
    x = [rng.normal(0, 1, [3 if d is None and k == 0 else d or 8 for k, d in enumerate(i.shape)]).astype("float32") for i in model.inputs]
    path = os.path.join(folder, name + ".h5")
    model.save(path)
    if old:
        make_old(path)
    worst, sentence = compare(model, path, x, folder)
    if worst is None:
        good = bool(words) and (words[0] == "?" or all(w in sentence for w in words))
        return good, "refused: " + sentence.replace(folder + "/", "")
    good = worst <= LIMIT and (not words or words[0] == "?")
    return good, "%.1e" % worst + ("" if good else " WRONG")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--keep", help="a folder for the files")
    options.add_argument("--only", help="only models whose name has this in it")
    o = options.parse_args()
    kinds = [("Keras %s" % keras.__version__, keras, False)]
    try:
        import tf_keras
        import tensorflow
        tensorflow.get_logger().setLevel("ERROR")
        kinds += [("tf_keras %s" % tf_keras.__version__, tf_keras, False), ("old", tf_keras, True)]
    except ImportError:
        print("without tf_keras: nothing is written by Keras 2")
    same = refused = bad = 0
    with tempfile.TemporaryDirectory() as scratch:
        for label, K, old in kinds:
            folder = os.path.join(o.keep or scratch, label.replace(" ", "-"))
            os.makedirs(folder, exist_ok=True)
            for name, build, *words in zoo(K):
                if o.only and o.only not in name:
                    continue
                good, text = try_one(K, name, build, words, folder, old, np.random.default_rng(len(name)))
                same, refused, bad = same + (good and text[0] != "r"), refused + (good and text[0] == "r"), bad + (not good)
                print("%s %-15s %-22s %s" % ("ok  " if good else "FAIL", label, name, text), flush=True)
    print("%d agree to %g, %d are refused by name, %d are wrong" % (same, LIMIT, refused, bad))
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
