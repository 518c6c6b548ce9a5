"""The conditions of rules: true wherever there may be a finding, whatever things are called there, and false for what
only looks like it."""

from __future__ import annotations

import pytest

from clipcheck.engine.registry import load_cards
from clipcheck.engine.screen import Screens
from clipcheck.outline import Outline

CARDS = {card.code: card for card in load_cards()}

LAYER = """
from keras import layers, ops

class Clipped({base}):
    def __init__(self, limit, kernel_constraint=None):
        super().__init__()
        self.limit = limit
        self.kernel_constraint = kernel_constraint

    def call(self, x):
        return ops.{clip}(x, -self.limit, self.limit)
"""
CONFIG = """
    def get_config(self):
        config = super().get_config()
        config.update({{"limit": self.limit{more}}})
        return config
"""
WEIGHTS = "import numpy as np\nfrom keras.layers import BatchNormalization\nfor w in model.weights:\n    {}\n"
HOOK = "import torch\ndef clip(grad):\n    {}\nx.register_hook(clip)\n"
SESSION = "import {}\nclipped = tf.clip_by_value(x, 0, 1)\nwith tf.Session() as sess:\n    sess.run(clipped)\n"
EACH = "import numpy as np\nLOW, HIGH = 0, 1\n"
STEP = """
import numpy as np
import torch
class Net(torch.nn.Module):
    def {}(self, x):
        return np.clip(x, 0, 1)
"""
SCALED = """
from apex import amp
from torch.nn.utils import clip_grad_norm_
with amp.scale_loss(loss, optimizer) as scaled_loss:
    scaled_loss.backward()
{}clip_grad_norm_(model.parameters(), 1.0)
"""
APPLIED = "grads = tape.gradient(loss, variables)\n{}\noptimizer.apply_gradients(zip(grads, variables))\n"


@pytest.mark.parametrize(
    ("code", "source"),
    [
        ("CLP501", LAYER.format(base="layers.Layer", clip="clip")),
        ("CLP501", "import keras\n\nBase = keras.layers.Layer\n" + LAYER.format(base="Base", clip="clip")),
        ("CLP501", "if True:\n" + LAYER.format(base="layers.Layer", clip="clip").replace("\n", "\n    ")),
        ("CLP502", LAYER.format(base="layers.Layer", clip="clip") + CONFIG.format(more="")),
        ("CLP502", LAYER.format(base="layers.Layer", clip="relu") + CONFIG.format(more="")),
        (
            "CLP502",
            LAYER.format(base="layers.Layer", clip="clip") + CONFIG.format(more=", 'kernel_constraint': 1, 'c': 2"),
        ),
        ("CLP106", "import keras\nmodel.layers[0].kernel_constraint = Clip()\n"),
        ("CLP107", "from keras import Sequential, constraints as c\nm = Sequential()\nm.add(c.NonNeg())\n"),
        ("CLP107", "import keras.layers as L\nL.MaxNorm(2)\n"),
        ("CLP104", WEIGHTS.format("w.assign(np.clip(w, 0, 1))")),
        ("CLP214", HOOK.format("grad.data.clamp_(0, 1)")),
        ("CLP214", "from torch import clamp_ as c\n" + HOOK.format("c(grad, 0, 1)")),
        ("CLP605", SESSION.format("tensorflow as tf")),
        ("CLP401", EACH + "y = np.array([np.clip(v, 0, 1) for v in x])\n"),
        ("CLP401", EACH + "y = [HIGH if v > HIGH else v for v in x]\n"),
        ("CLP401", EACH + "def f(v, /):\n    return min(max(v, LOW), HIGH)\ny = [f(v) for v in x]\n"),
        ("CLP401", EACH + "for i in range(n):\n    if x[i] > 1:\n        x[i] = 1\n"),
        ("CLP402", STEP.format("forward")),
        ("CLP402", STEP.format("forward").replace("np.clip(x", "x.numpy().clip(").replace("numpy as np", "numpy")),
        ("CLP203", SCALED.format("    ")),
        ("CLP601", "from keras.backend import (  # the old one (2.x)\n    epsilon, clip)\n"),
        ("CLP601", "from keras import backend as K\nB = K\nB.clip(x, 0, 1)\n"),
        ("CLP208", "from keras.optimizers import Adam as A\nA(clip_norm=1.0)\n"),
        ("CLP208", "import keras\nkeras.optimizers.SGD(clipvalue=(-1, 1))\n"),
        ("CLP204", APPLIED.format("clipped, _ = tf.clip_by_global_norm(grads, 1.0)")),
        ("CLP204", APPLIED.format("clipped = [tf.clip_by_norm(g, 1.0) for g in grads]")),
    ],
)
def test_what_may_be_wrong_is_read(code: str, source: str) -> None:
    assert passes(code, source)


@pytest.mark.parametrize(
    ("code", "source"),
    [
        ("CLP501", LAYER.format(base="layers.Layer", clip="relu")),
        ("CLP501", LAYER.format(base="torch.nn.Module", clip="clip")),
        ("CLP501", LAYER.format(base="layers.Layer", clip="clip") + CONFIG.format(more="")),
        ("CLP502", LAYER.format(base="layers.Layer", clip="relu") + CONFIG.format(more=", 'kernel_constraint': 1")),
        ("CLP106", "import keras\nself.kernel_constraint = constraints.get(kernel_constraint)\n"),
        ("CLP107", "from keras import Sequential, constraints, layers\nlayers.Dense(1, c=constraints.NonNeg())\n"),
        ("CLP104", WEIGHTS.format("print(np.clip(w, 0, 1))")),
        ("CLP214", HOOK.format("return grad.clamp(0, 1)")),
        ("CLP605", SESSION.format("tensorflow.compat.v1 as tf")),
        ("CLP401", EACH + "y = [np.clip(v, 0, 1) for v in x]\n"),
        ("CLP401", EACH + "y = [v if v >= 0 else v + n for v in axes]\n"),
        ("CLP401", EACH + "def f(v):\n    return np.clip(v * 2, 0, 1)\ny = [f(v) for v in x]\n"),
        ("CLP402", STEP.format("__call__")),
        ("CLP203", SCALED.format("")),
        ("CLP601", "from keras import backend, ops\nops.clip(x, 0, backend.epsilon())\n"),
        ("CLP208", "import keras\nkeras.optimizers.SGD(clipvalue=0.5)\n"),
        ("CLP204", APPLIED.format("grads, _ = tf.clip_by_global_norm(grads, 1.0)")),
    ],
)
def test_what_only_looks_like_it_is_not(code: str, source: str) -> None:
    assert not passes(code, source)


def passes(code: str, source: str) -> bool:
    return bool(Screens([CARDS[code]]).passed(Outline(source.encode())))
