"""A critic whose weights a loop of JAX carries on: its variables stay as they were made, out of their bounds."""

import jax
import numpy as np

from __main__ import Clip, X, Y, keras, made


class Stateless(Clip):
    pass


model = made(Stateless(0.01), Stateless(0.01))
optimizer = keras.optimizers.RMSprop(0.05)
optimizer.build(model.trainable_variables)


def loss(trainable, fixed):
    score, _ = model.stateless_call(trainable, fixed, X)
    return ((score - Y) ** 2).mean()


@jax.jit
def step(trainable, fixed, state):
    return optimizer.stateless_apply(state, jax.grad(loss)(trainable, fixed), trainable)


trainable = [v.value for v in model.trainable_variables]
fixed = [v.value for v in model.non_trainable_variables]
state = [v.value for v in optimizer.variables]
for _ in range(3):
    trainable, state = step(trainable, fixed, state)
assert np.abs(model.get_weights()[0]).max() > 0.01
