"""Runs a training script as `__main__`, and says whether a model's weights ended inside a bound.

Usage: run_script.py SCRIPT [NAME BOUND]. Prints the largest absolute trainable weight and the bound in its own dtype.
"""

from __future__ import annotations

import os
import random
import runpy
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np


def weights_of(model: Any) -> Iterator[np.ndarray]:
    """Every trainable weight of a torch module or a Keras model, also of one that is frozen at the end."""
    if not hasattr(model, "trainable_weights"):
        yield from (weight.detach().cpu().numpy() for weight in model.parameters())
        return
    model.trainable = True
    yield from (weight.numpy() for weight in model.trainable_weights)


def seed() -> None:
    """Make the run repeatable. Keras draws its own seeds from `random`."""
    random.seed(0)
    np.random.seed(0)
    if os.environ["KERAS_BACKEND"] == "torch":
        import torch

        torch.manual_seed(0)
    else:
        import tensorflow as tf

        tf.random.set_seed(0)


def main() -> None:
    seed()
    script, *claim = sys.argv[1:]
    sys.argv = [script]
    namespace = runpy.run_path(script, run_name="__main__")
    if claim:
        name, bound = claim
        extremes = [(np.abs(weight).max(), weight.dtype.type(float(bound))) for weight in weights_of(namespace[name])]
        print("held" if all(extreme <= limit for extreme, limit in extremes) else "violated", extremes)


if __name__ == "__main__":
    main()
