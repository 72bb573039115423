"""Writes tests/keras/recurrent.h: what Keras computes for LSTM and ConvLSTM2D, forward and backward, in float64.

    python3 tests/keras/recurrent.py > tests/keras/recurrent.h        (needs tensorflow; made with 2.21, Keras 3.15)

Inputs and weights are not stored: element i (in Keras's order) of tensor number k is 0.6 sin(1.7 i + k + 1). The loss is
the sum of output elements times 0.6 sin(1.7 i + 10).
"""
import numpy as np
import tensorflow as tf

tf.keras.backend.set_floatx("float64")


def fill(shape, k):
    i = np.arange(int(np.prod(shape)), dtype=np.float64)
    return (0.6 * np.sin(1.7 * i + k + 1)).reshape(shape)


def keras2_hard_sigmoid(x):
    return tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0)


def show(name, value):
    print("static const double %s[] = {" % name)
    v = ["%.15g" % x for x in np.asarray(value).ravel()]
    for at in range(0, len(v), 5):
        print("    " + ", ".join(v[at:at + 5]) + ",")
    print("};")


def case(name, layer, x_shape, mask=None):
    x = tf.Variable(fill(x_shape, 0))
    layer.build(x_shape)
    layer.set_weights([fill(w.shape, 1 + i) for i, w in enumerate(layer.weights)])
    with tf.GradientTape() as tape:
        y = layer(x, mask=None if mask is None else tf.constant(mask))
        loss = tf.reduce_sum(y * fill(y.shape, 9))
    grads = tape.gradient(loss, [x] + [w.value for w in layer.weights])
    show(name + "_y", y)
    for what, g in zip(("dx", "dkernel", "drecurrent", "dbias"), grads):
        show(name + "_" + what, g)


print("/* Made by tests/keras/recurrent.py with TensorFlow %s, Keras %s. */" % (tf.__version__, tf.keras.__version__))
L = tf.keras.layers
case("lstm_last", L.LSTM(2), (2, 4, 3))
case("lstm_all", L.LSTM(3, return_sequences=True, recurrent_activation=keras2_hard_sigmoid), (2, 3, 2))
case("lstm_masked", L.LSTM(2, return_sequences=True), (2, 4, 3), [[True, True, False, False], [False, True, False, True]])
case("conv_last", L.ConvLSTM2D(2, (2, 3)), (2, 3, 4, 5, 2))
case("conv_all", L.ConvLSTM2D(1, 3, strides=2, padding="same", return_sequences=True,
                              recurrent_activation=keras2_hard_sigmoid), (1, 3, 5, 4, 2))
case("conv_dilated", L.ConvLSTM2D(1, (3, 2), dilation_rate=2, padding="same", activation="relu"), (1, 3, 5, 4, 1))
