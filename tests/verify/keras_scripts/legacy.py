"""Critics of tf_keras, the predecessor of Keras 3."""

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

X, Y = tf.random.normal((40, 3), seed=1), tf.random.normal((40, 1), seed=2)


class Clip(keras.constraints.Constraint):
    def __init__(self, c):
        self.c = c

    def __call__(self, w):
        return tf.clip_by_value(w, -self.c, self.c)


class Fitted(Clip):
    pass


class Taped(Clip):
    pass


class ByOldOptimizer(Clip):
    pass


def made(constraint=None):
    options = {"kernel_constraint": constraint, "bias_constraint": constraint}
    return keras.Sequential(
        [layers.Dense(4, "tanh", name="hidden", **options), layers.Dense(1, name="score", **options)]
    )


model = made(Fitted(0.01))
model.compile(keras.optimizers.RMSprop(0.05), "mse", steps_per_execution=2)
model.fit(X, Y, batch_size=4, verbose=0)

model = made(ByOldOptimizer(0.01))
model.compile(keras.optimizers.legacy.RMSprop(0.05), "mse")
model.fit(X, Y, batch_size=4, verbose=0)

model, optimizer = made(Taped(0.01)), keras.optimizers.Adam(0.05)


@tf.function
def step():
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(X) - Y))
    weights = model.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))  # noqa: B905


for _ in range(4):
    step()

gradient_clipped = made()
gradient_clipped.compile(keras.optimizers.Adam(0.05, clipvalue=0.01), "mse")
gradient_clipped.fit(X, Y, batch_size=4, verbose=0)

never_set = made()
never_set.compile(keras.optimizers.Adam(0.05), "mse")
for _ in range(3):
    never_set.train_on_batch(X, Y)
    clipped = [np.clip(w, -0.01, 0.01) for w in never_set.get_weights()]
