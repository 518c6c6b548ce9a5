"""Critics that are trained by loops of TensorFlow."""

import numpy as np
import tensorflow as tf
from tensorflow import keras

from __main__ import Clip, X, Y, compiled, fit, made, tell


class Taped(Clip):
    pass


class TapedByXLA(Clip):
    pass


class Eager(Clip):
    pass


class RunEagerly(Clip):
    pass


class WholeLoop(Clip):
    pass


class Scaled(Clip):
    pass


class Several(Clip):
    pass


def step_of(model, optimizer):
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x) - y))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))  # noqa: B905
        return loss

    return step


class Trainer(keras.Model):
    """Its own step clips the critic by hand, in the graph."""

    def __init__(self, critic):
        super().__init__()
        self.critic = critic

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self.critic(x) - y))
        weights = self.critic.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))  # noqa: B905
        for w in weights:
            w.assign(tf.clip_by_value(w, -0.01, 0.01))
        return {"loss": loss}


x, y = tf.constant(X), tf.constant(Y)

for constraint, options in ((Taped, {}), (TapedByXLA, {"jit_compile": True}), (Eager, None)):
    model = made(constraint(0.01), constraint(0.01))
    step = step_of(model, keras.optimizers.RMSprop(0.05))
    step = step if options is None else tf.function(step, **options)
    for _ in range(4):
        step(x, y)
    tell(constraint.__name__, model)

tell("run eagerly", fit(compiled(made(RunEagerly(0.01), RunEagerly(0.01)), run_eagerly=True)))

model = made(WholeLoop(0.01), WholeLoop(0.01))
step = step_of(model, keras.optimizers.Adam(0.05))


@tf.function
def train(times):
    for _ in tf.range(times):
        step(x, y)


train(1500)
tell("whole loop", model)

scaled = made(Scaled(0.01), Scaled(0.01))
scaled.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5)), "mse", jit_compile=False)
for target in (Y, Y * np.inf, Y):
    scaled.train_on_batch(X, target)
tell("scaled", scaled)

first, second = keras.optimizers.SGD(0.5), keras.optimizers.RMSprop(0.05)
several = keras.optimizers.MultiOptimizer(lambda variable: first if "kernel" in variable.path else second)
tell("several", fit(compiled(made(Several(0.01), Several(0.01)), several)))

critic = made()
trainer = Trainer(critic)
trainer.compile(keras.optimizers.RMSprop(0.05), jit_compile=False)
trainer.fit(X, Y, batch_size=4, verbose=0)
tell("trainer", critic)
