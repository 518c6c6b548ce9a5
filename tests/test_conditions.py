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

HELPED = """
from torch.nn.utils import clip_grad_norm_

class Trainer:
    def clip(self):
        {clip}

    def train(self):
        self.optimizer.zero_grad()
        {first}
        {last}
"""
CLIP = "return clip_grad_norm_(self.model.parameters(), 1.0)"
LATE = HELPED.format(clip=CLIP, first="self.optimizer.step()", last="self.clip()")
IN_TIME = HELPED.format(clip=CLIP, first="self.clip()", last="self.optimizer.step()")
SCALING = """
import tensorflow as tf
scaled = optimizer.get_scaled_loss(loss)
grads = tape.gradient(scaled, variables)
{}
grads = [tf.clip_by_norm(grad, 1.0) for grad in grads]
optimizer.apply_gradients(zip(grads, variables))
"""
BOUNDED = """
import keras
from bounds import {name}
model = keras.Sequential([keras.layers.Dense(1, kernel_constraint={name}(0.01))])
"""
ONE_RUN = "import tensorflow as tf\nclip = tf.assign({}, tf.clip_by_value(w, -1, 1))\nsess.run([o.minimize(l), clip])\n"
BY_HAND = """
import keras
model = keras.Sequential([keras.layers.Dense(1, kernel_constraint=Clip())])
w.assign_sub({})
"""
TWO = """
import torch
d_optimizer = torch.optim.{maker}(critic.parameters())
g_optimizer = torch.optim.{maker}(generator.parameters())
{passes}
torch.nn.utils.clip_grad_norm_(critic.parameters(), 1.0)
g_optimizer.step()
"""


@pytest.mark.parametrize(
    ("code", "source"),
    [
        ("CLP202", LATE),
        ("CLP202", LATE.replace("self.clip()", "(lambda: self.clip())()")),
        (
            "CLP202",
            LATE.replace("        self.optimizer.step()", "        run(self.update)\n").replace(
                "    def train", "    def update(self):\n        self.optimizer.step()\n\n    def train"
            ),
        ),
        ("CLP201", LATE.replace(".step()", ".zero_grad()").replace("self.clip()", "self.clip()\n        l.backward()")),
        ("CLP215", LATE.replace("self.clip()", "self.clip()\n        for l in losses:\n            l.backward()")),
        ("CLP202", "import tensorflow as tf\n" + APPLIED.format("pass") + "tf.clip_by_global_norm(grads, 1.0)\n"),
        ("CLP203", SCALING.format("scaled = optimizer.get_unscaled_gradients(other)\ngrads = tape.gradient(l, v)")),
        ("CLP209", TWO.format(maker="Adam", passes="loss.backward()")),
        ("CLP209", "import torch\ntorch.nn.utils.clip_grad_norm_([p.grad for p in params], 1.0)\n"),
        ("CLP209", "from torch.nn.utils import clip_grad_norm_ as c\ndef f(net: Module):\n    c(net, 1.0)\n"),
        ("CLP105", BOUNDED.format(name="WeightClip")),
        ("CLP105", BOUNDED.format(name="Clip as Bound").replace("=Clip as ", "=")),
        ("CLP202", IN_TIME.replace("optimizer.step()", "optimizer.step(closure)") + "def optimizer_step(self): pass\n"),
        ("CLP105", "import torch\nclass Critic: pass\ncritic.fc.weight.data.clamp_(-1, 1)\n"),
        ("CLP105", "import torch\nfor name, p in critic.named_parameters():\n    p.data.clamp(-1, 1)\n"),
        ("CLP108", ONE_RUN.format("w")),
        ("CLP106", BY_HAND.format("0.1 * grad")),
    ],
)
def test_what_steps_may_do_is_read(code: str, source: str) -> None:
    assert passes(code, source)


@pytest.mark.parametrize(
    ("code", "source"),
    [
        ("CLP202", IN_TIME),
        ("CLP202", IN_TIME.replace("self.optimizer.step()", "for o in opts:\n            self.scaler.step(o)")),
        ("CLP202", LATE.replace("self.clip()", "clip()").replace("def clip", "def bound")),
        ("CLP202", LATE.replace("zero_grad()", "train()")),
        ("CLP201", IN_TIME.replace("optimizer.zero_grad()", "loss.backward()")),
        ("CLP215", LATE),
        ("CLP202", APPLIED.format("x = tf.clip_by_value(x, 0, 1)")),
        ("CLP203", SCALING.format("grads = optimizer.get_unscaled_gradients(grads)")),
        ("CLP209", TWO.format(maker="Adam", passes="")),
        ("CLP209", TWO.format(maker="make", passes="loss.backward()").replace("torch.optim.", "")),
        ("CLP209", "import torch\ndef clip(parameters):\n    torch.nn.utils.clip_grad_norm_(parameters, 1.0)\n"),
        ("CLP209", "clip_grad_norm_(optimizer.param_groups[0]['params'], 1.0)\n"),
        ("CLP209", "clip_grad_norm_([p for p in net.parameters() if p.requires_grad], 1.0)\n"),
        ("CLP105", BOUNDED.format(name="NonNeg")),
        ("CLP105", "import torch\nnet.fc.weight.data.clamp_(-1, 1)\n"),
        ("CLP108", ONE_RUN.format("v")),
        ("CLP106", BY_HAND.format("1")),
        (
            "CLP601",
            'def f():\n    """\n    >>> from keras import ops\n    """\n    return backend.numpy.clip(x, 0, 1)\n',
        ),
    ],
)
def test_what_steps_cannot_do_is_not(code: str, source: str) -> None:
    assert not passes(code, source)


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
        ("CLP305", IMPORTS + "def guard(p, eps=1e-9):\n    return torch.clamp(p, eps, 1 - eps)\n"),
        ("CLP306", CLIPPED.format(high="1.0", used="return -(y * clipped(x).log()).sum()")),
        ("CLP306", CLIPPED.format(high="1.0", used="p = clipped(x).view(-1)\n        return torch.log(p[y])")),
        ("CLP306", "from torch import log as ln\np = x.clamp(0, 1)\nloss = -ln(p)\n"),
        ("CLP306", IMPORTS + "def nll(p):\n    return -torch.log(p)\nloss = nll(p=torch.clamp(x, 0, 1))\n"),
        ("CLP306", "import torch\nx.clamp_(0, 1)\nloss = torch.log(1 - x)\n"),
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


VALUES_THAT_MAY_BE_WRONG = [
    ("CLP303", "LOW = 1\ndef f(x, high=0):\n    return torch.clamp(x, LOW, high)\n"),
    ("CLP303", "def f(x, high):\n    return torch.clamp(x, 1, high)\ndef g(low):\n    f(x, -1)\n"),
    ("CLP303", "def g():\n    global LOW\n    LOW = 2\ndef f(x):\n    return np.clip(x, LOW, 1)\n"),
    ("CLP303", "def f(x):\n    low = 2\n    def g():\n        return np.clip(x, low, 1)\n"),
    ("CLP303", "class A:\n    low, high = 1, 0\n    def f(self, x):\n        np.clip(x, self.low, self.high)\n"),
    ("CLP303", "def main():\n    p.add_argument('--low', default=2)\n    np.clip(x, p.parse_args().low, 1)\n"),
    ("CLP303", "größe = 2\ndef f(x):\n    return np.clip(x, größe, 1)\n"),
    ("CLP302", "for w in model.weights:\n    clipped = np.clip(w, 0, 1)\n    w = clipped\n"),
    ("CLP304", "import keras\ntf.keras.backend.clip(x, min_value=0)\n"),
    ("CLP304", "for p in net.parameters():\n    g = p.grad\n    g.data.clamp_(max=1)\n"),
    ("CLP304", "for g, v in zip(tape.gradient(loss, variables), variables):\n    g = tf.minimum(g, 1)\n"),
    ("CLP305", "p = torch.clamp(p, 1e-9, 1 - 1e-9)\ny = 1 / (1 - p)\n"),
    ("CLP306", "ln = torch.log\ny = ln(torch.clamp(x, 0, 1))\n"),
    (
        "CLP306",
        "class A:\n    def f(self, x):\n        self.p = torch.clamp(x, 0, 1)\n"
        "    def g(self):\n        return torch.log(self.p)\n",
    ),
    ("CLP301", "class A:\n    def f(self):\n        p = torch.clamp(self.p, 0, 1)\n        return self.p\n"),
    ("CLP307", "d = torch.clamp(a - b, -1, 1)\ndef f():\n    return (d ** 2).mean()\nf().backward()\n"),
    ("CLP307", "td = torch.clamp(a - b, -1, 1)\nsame = td\nloss = (same ** 2).mean()\nloss.backward()\n"),
    ("CLP307", "def f(a, b):\n    d = a - b\n    return torch.clamp(d, -c, c)\nloss = f(x, y).pow(2).mean()\n"),
    ("CLP309", "self.t = torch.nn.Parameter(x)\nt = self.t.view(1, -1)\ny = torch.clamp(x, -t, t)\n"),
    ("CLP309", "self.t = torch.nn.Parameter(x)\nz = x / self.t\ny = self.t * torch.tanh(z)\n"),
    ("CLP304", "grad = tf.minimum(grad, y=limit)\n"),
    ("CLP401", "for i, v in enumerate(x):\n    if v > 1:\n        x[i] = 1\n"),
    ("CLP401", "for i, v in enumerate(x):\n    x[i] = min(max(v, 0), 1)\n"),
    ("CLP401", "for i in r:\n    if x[i] > 1:\n        y[i] = 1\n    else:\n        y[i] = x[i]\n"),
    ("CLP402", STEP.format("forward").replace("np.clip(x", "np.clip(x * 2")),
]
VALUES_THAT_ARE_NOT_WRONG = [
    ("CLP303", "def g():\n    n = -5\ndef f(x, n):\n    return np.clip(x, 0, n - 1)\n"),
    ("CLP303", "f(low=2)\nnp.clip(x, self.low, 1)\n"),
    ("CLP303", "def f(x):\n    low, high = 0, x.size(0)\n    return np.clip(x, low, high)\n"),
    ("CLP302", "for i in r:\n    x = np.clip(x, 0, 1)\nfor x in y:\n    print(x)\n"),
    ("CLP304", "torch.clip(i, min=0)\n"),
    ("CLP304", "mask = (p.grad > 0).float()\nmask.mean().clamp_(min=1e-3)\n"),
    ("CLP304", "least = tf.minimum(tf.minimum(r, g), b)\n"),
    ("CLP305", "p = torch.clamp(p, 1e-9, 1 - 1e-9)\ny = 1 / p\n"),
    ("CLP305", "p = torch.logit(torch.rand(3).clamp(1e-9, 1 - 1e-9))\n"),
    ("CLP306", "def f(b):\n    y = torch.log(b.clamp(min=0))\n    assert torch.isfinite(y)\n"),
    ("CLP306", "i = i.clamp(min=0)\ny = torch.log(x.gather(-1, i))\n"),
    ("CLP307", "x0 = torch.clamp(a - b, -1, 1)\nloss = ((c - x0) ** 2).mean()\nloss.backward()\n"),
    ("CLP309", "self.t = torch.nn.Parameter(x)\ny = self.c * torch.tanh(x @ self.t / self.c)\n"),
    ("CLP401", "for d, t in pairs:\n    if iou[d, t] >= least:\n        seen[t] = True\n"),
    ("CLP401", "def test_f():\n    y = np.vectorize(lambda v: min(max(v, 0), 1))(x)\n"),
    ("CLP402", STEP.format("forward").replace("np.clip(x", "np.clip(x.cpu().numpy() * 255")),
]


@pytest.mark.parametrize(("code", "source"), VALUES_THAT_MAY_BE_WRONG)
def test_a_value_that_may_be_wrong_is_read(code: str, source: str) -> None:
    assert passes(code, IMPORTS + source)


@pytest.mark.parametrize(("code", "source"), VALUES_THAT_ARE_NOT_WRONG)
def test_a_value_of_another_scope_or_kind_is_not(code: str, source: str) -> None:
    assert not passes(code, IMPORTS + source)
