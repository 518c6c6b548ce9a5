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
IMPORTS = "import numpy as np\nimport tensorflow as tf\nimport torch\n"
CLIPPED = """
import torch

def clipped(x):
    return torch.clamp(x, 0.0, {high})

class Net(torch.nn.Module):
    def forward(self, x, y):
        {used}
"""
THRESHOLD = """
import torch
from torch import nn

class Soft(nn.Module):
    def __init__(self):
        super().__init__()
        self.{name} = {made}
        self.squash = nn.Tanh()

    def forward(self, x):
        {used}
"""
MICRO = """
with accelerator.accumulate(model):
    accelerator.backward(loss)
    {guard}
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
    accelerator.clip_grad_norm_({other}.parameters(), 1.0)
    optimizer.step()
"""


@pytest.mark.parametrize(
    ("code", "source"),
    [
        ("CLP206", "grads = tf.clip_by_global_norm(grads, 1.0)\n"),
        ("CLP211", MICRO.format(guard="if accelerator.sync_gradients:", other="student")),
        ("CLP302", IMPORTS + "for w in weights:\n    w = tf.clip_by_value(w, -1, 1)\n"),
        ("CLP303", IMPORTS + "LOW, HIGH = 1, -1\ntorch.clamp(x, LOW, HIGH)\n"),
        (
            "CLP303",
            "class A:\n    def __init__(self, low, c):\n        self.c = c\nA(0, 2)\ny.clip(self.c, -self.c - 1)\n",
        ),
        ("CLP303", "p.add_argument('--max-value', default=-1)\nx.clamp(0, args.max_value)\n"),
        ("CLP303", IMPORTS + "for low, high in zip([1, 2], (0, 0)):\n    torch.clamp(x, low, high)\n"),
        ("CLP305", CLIPPED.format(high="1 - 1e-8", used="return 1 / (1 - clipped(x))")),
        ("CLP305", IMPORTS + "def guard(p, eps=1e-9):\n    return np.clip(p, eps, 1 - eps)\n"),
        ("CLP306", CLIPPED.format(high="1.0", used="return -(y * clipped(x).log()).sum()")),
        ("CLP306", CLIPPED.format(high="1.0", used="p = clipped(x).view(-1)\n        return torch.log(p[y])")),
        ("CLP306", "from torch import log as ln\np = x.clamp(0, 1)\nloss = -ln(p)\n"),
        ("CLP306", IMPORTS + "def nll(p):\n    return -torch.log(p)\nloss = nll(p=torch.clamp(x, 0, 1))\n"),
        ("CLP306", "x.clamp_(0, 1)\nloss = torch.log(1 - x)\n"),
        ("CLP307", "error = (target - q).clamp(-1, 1)\nloss = (error ** 2).mean()\nloss.backward()\n"),
        ("CLP307", IMPORTS + "def delta():\n    return a - b\ne = torch.clamp(delta(), -c, c)\nloss = e * e\n"),
        ("CLP308", THRESHOLD.format(name="t", made="nn.Parameter(x)", used="return x.clamp(0, self.t.item())")),
        (
            "CLP308",
            THRESHOLD.format(name="t", made="nn.Parameter(x)", used="t = float(self.t)\n        return x.clamp(-t, t)"),
        ),
        ("CLP309", THRESHOLD.format(name="t", made="nn.Parameter(x)", used="return self.t * self.squash(x / self.t)")),
        (
            "CLP309",
            THRESHOLD.format(name="t", made="nn.Parameter(x)", used="t = self.t\n        return x.clamp(-t, t)"),
        ),
        ("CLP309", THRESHOLD.format(name="limit", made="nn.Parameter(torch.tensor(6))", used="return x")),
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
        ("CLP206", "grads, norm = tf.clip_by_global_norm(grads, 1.0)\n"),
        ("CLP211", MICRO.format(guard="if True:", other="student").replace("accumulate", "autocast")),
        ("CLP302", "for w in weights:\n    w = tf.clip_by_value(w, -1, 1)\n    print(w)\n"),
        ("CLP303", "LOW, HIGH = -1, 1\ntorch.clamp(x, LOW, HIGH)\n"),
        ("CLP303", "def f(x, c=0.1):\n    return torch.clamp(x, -c, c)\n"),
        ("CLP303", "limits = (0.0, float('inf'))\ntorch.clamp(x, limits[0], limits[1])\n"),
        ("CLP305", CLIPPED.format(high="1", used="p = torch.clamp(x, 0, 1 - 1e-8)\n        return p + y")),
        ("CLP306", CLIPPED.format(high="1.0", used="return torch.log(clipped(x) + 1e-6)")),
        ("CLP306", "image = (image / 2 + 0.5).clamp(0, 1)\nself.check(image)\nlogger.info('saved')\n"),
        ("CLP306", "p = torch.clamp(x, 1e-7, 1)\nloss = -torch.log(p)\n"),
        ("CLP307", "error = (target - q).clamp(-1, 1)\nloss = huber(error) + (x ** 2).mean()\n"),
        ("CLP308", THRESHOLD.format(name="t", made="nn.Parameter(x)", used="return x.clamp(0, self.t)")),
        ("CLP308", THRESHOLD.format(name="t", made="nn.Parameter(x)", used="return x.clamp(0, x.max().item())")),
        ("CLP309", THRESHOLD.format(name="t", made="nn.Parameter(x)", used="return self.squash(x / 8) + self.t")),
        ("CLP309", THRESHOLD.format(name="t", made="nn.Parameter(torch.zeros(6))", used="return x.clamp(0, self.t)")),
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
