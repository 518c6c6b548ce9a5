"""Critics whose weights are to stay within bounds, trained in every way that Keras has on any of its backends.

Each is followed by what its weights are in the end, to the last bit.
"""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(1)
IN_JAX = keras.backend.backend() == "jax"
X = np.random.normal(size=(40, 3)).astype("float32")
Y = 3 * np.random.normal(size=(40, 1)).astype("float32")


class Clip(keras.constraints.Constraint):
    def __init__(self, c):
        self.c = c

    def __call__(self, w):
        return ops.clip(w, -self.c, self.c)


class Fitted(Clip):
    pass


class Compiled(Clip):
    pass


class OnBatch(Clip):
    pass


class Averaged(Clip):
    pass


class Half(Clip):
    pass


class NotFinite(Clip):
    pass


class ClippingSGD(keras.optimizers.SGD):
    def __init__(self, *args, c=0.01, **kwargs):
        super().__init__(*args, **kwargs)
        self.c = c

    def apply(self, grads, trainable_variables=None):
        super().apply(grads, trainable_variables)
        for w in trainable_variables or self._trainable_variables:
            w.assign(ops.clip(w, -self.c, self.c))


class ClippedLinear(layers.Layer):
    def __init__(self, t, **kwargs):
        super().__init__(**kwargs)
        self.t = t

    def call(self, inputs):
        return ops.clip(inputs, -self.t, self.t)


class SoftClipped(ClippedLinear):
    """Is in truth the rectifier, and bounds nothing."""

    def call(self, inputs):
        return inputs + self.t * ops.relu(-inputs / self.t)


def made(kernel=None, bias=None, dtype=None):
    options = {"kernel_constraint": kernel, "bias_constraint": bias, "dtype": dtype}
    hidden = layers.Dense(4, "tanh", name="hidden", **options)
    return keras.Sequential([layers.Input((3,)), hidden, layers.Dense(1, name="score", **options)])


def compiled(model, optimizer=None, jit_compile=IN_JAX, **options):
    model.compile(optimizer or keras.optimizers.RMSprop(0.05), "mse", jit_compile=jit_compile, **options)
    return model


def tell(name, model):
    total = sum(np.sum(np.asarray(ops.convert_to_numpy(ops.cast(w, "float32")), "float64")) for w in model.weights)
    print(name, float(total).hex(), flush=True)


def fit(model, **options):
    model.fit(X, Y, batch_size=4, verbose=0, **options)
    return model


tell("fitted", fit(compiled(made(Fitted(0.01), Fitted(0.01)))))
if keras.backend.backend() != "torch":
    tell("compiled", fit(compiled(made(Compiled(0.01), Compiled(0.01)), jit_compile=True, steps_per_execution=5)))
tell("averaged", fit(compiled(made(Averaged(0.01), Averaged(0.01)), keras.optimizers.RMSprop(0.05, use_ema=True))))
tell("half", fit(compiled(made(Half(0.01), Half(0.01), dtype="bfloat16"))))

on_batch = compiled(made(OnBatch(0.01), OnBatch(0.01)))
for _ in range(3):
    on_batch.train_on_batch(X, Y)
tell("on batch", on_batch)

model = compiled(made(NotFinite(0.01), NotFinite(0.01)), jit_compile=keras.backend.backend() != "torch")
model.train_on_batch(X, Y)
model.train_on_batch(X, Y * np.nan)

kernel_only = made(Clip(0.01))
tell("kernel only", fit(compiled(kernel_only)))

gradient_clipped = compiled(made(), keras.optimizers.RMSprop(0.05, clipvalue=0.01))
tell("gradient clipped", fit(gradient_clipped))

norm_clipped = compiled(made(), keras.optimizers.Adam(0.05, global_clipnorm=0.1))
tell("norm clipped", fit(norm_clipped))

projected = compiled(made(), ClippingSGD(0.5, c=0.02))
tell("projected", fit(projected))

by_hand = compiled(made())
for _ in range(3):
    by_hand.train_on_batch(X, Y)
    by_hand.train_on_batch(-X, Y)
    for w in by_hand.trainable_weights:
        w.assign(ops.clip(w, -0.01, 0.01))
tell("by hand", by_hand)

set_back = compiled(made())
for _ in range(3):
    set_back.train_on_batch(X, Y)
    set_back.set_weights([np.clip(w, -0.01, 0.01) for w in set_back.get_weights()])
tell("set back", set_back)

never_set = compiled(made())
for _ in range(3):
    never_set.train_on_batch(X, Y)
    clipped = [np.clip(w, -0.01, 0.01) for w in never_set.get_weights()]
tell("never set", never_set)

once = compiled(made())
once.set_weights([np.clip(w, -0.01, 0.01) for w in once.get_weights()])
for _ in range(3):
    once.train_on_batch(X, Y)
tell("once", once)

activations = keras.Sequential(
    [layers.Input((3,)), ClippedLinear(0.5), layers.Dense(3), SoftClipped(0.25), layers.Dense(1)]
)
tell("activations", fit(compiled(activations)))

if keras.backend.backend() == "tensorflow":
    import loops  # noqa: F401
if IN_JAX:
    import stateless  # noqa: F401
