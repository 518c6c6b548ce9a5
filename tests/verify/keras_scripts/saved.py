"""Models with constraints, saved in every way that a constraint survives, and in some that it does not."""

import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

X, Y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")
LIMIT = 0.01


@keras.saving.register_keras_serializable()
class Kept(keras.constraints.Constraint):
    def __init__(self, c=0.5):
        self.c = c

    def __call__(self, w):
        return ops.clip(w, -self.c, self.c)

    def get_config(self):
        return {"c": self.c}


@keras.saving.register_keras_serializable()
class Forgotten(keras.constraints.Constraint):
    def __init__(self, c=0.5):
        self.c = c

    def __call__(self, w):
        return ops.clip(w, -self.c, self.c)


class Unregistered(Kept):
    pass


class HandedOver(Kept):
    pass


@keras.saving.register_keras_serializable()
class ProjectedSGD(keras.optimizers.SGD):
    def __init__(self, learning_rate=0.5, radius=1.0, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.radius = radius

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate)
        variable.assign(ops.clip(variable, -self.radius, self.radius))


def trained(constraint, optimizer=None):
    score = layers.Dense(1, name="score", kernel_constraint=constraint, bias_constraint="max_norm")
    model = keras.Sequential([layers.Input((3,)), score])
    model.compile(optimizer or keras.optimizers.Adam(0.05), "mse", jit_compile=False)
    return model


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    for constraint in (Kept(LIMIT), Forgotten(LIMIT), Unregistered(LIMIT), HandedOver(LIMIT)):
        model = trained(constraint)
        model.fit(X, Y, verbose=0)
        model.save(folder / f"{type(constraint).__name__.lower()}.keras")
    keras.models.load_model(folder / "handedover.keras", custom_objects={"HandedOver": HandedOver})
    saving = keras.callbacks.ModelCheckpoint(str(folder / "checkpoint.keras"))
    trained(Kept(LIMIT)).fit(X, Y, verbose=0, callbacks=[saving])
    trained(Kept(LIMIT)).save(folder / "legacy.h5")
    projected = trained(None, ProjectedSGD(radius=0.1))
    projected.fit(X, Y, verbose=0)
    projected.save(folder / "projected.keras")
    projected.save_weights(folder / "projected.weights.h5")
