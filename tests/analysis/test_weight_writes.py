"""Weights that are clipped and written back: which of it runs at every training step, and what can be rewritten."""

from __future__ import annotations

import pytest

from clipcheck.model.weight_writes import WeightWrite
from tests.analysis.reading import script_of

IMPORTS = "import numpy as np\nfrom keras import layers\n"

REPEATED = [
    "for epoch in range(9):\n    m.train_on_batch(x, y)\n"
    "    m.set_weights([np.clip(w, -1, 1) for w in m.get_weights()])",
    "while True:\n    m.fit(x, y)\n    m.set_weights([np.clip(w, -1, 1) for w in m.get_weights()])",
    "def project(m):\n    m.set_weights([np.clip(w, -1, 1) for w in m.get_weights()])\n"
    "for x in data:\n    m.train_on_batch(x, y)\n    project(m)",
    "def update(m, x):\n    m.train_on_batch(x, y)\n    m.set_weights([np.clip(w, -1, 1) for w in m.get_weights()])",
    "def on_train_batch_end(self, batch, logs=None):\n"
    "    self.model.set_weights([np.clip(w, -1, 1) for w in self.model.get_weights()])",
    "def train_step(x):\n    for l in m.layers:\n        l.set_weights([np.clip(w, -1, 1) for w in l.get_weights()])",
]


@pytest.mark.parametrize("source", REPEATED)
def test_it_runs_at_every_step(source: str) -> None:
    assert [write.way for write in script_of(IMPORTS + source).all(WeightWrite)] == ["host"]


ONCE = [
    "m.fit(x, y)\nm.set_weights([np.clip(w, -1, 1) for w in m.get_weights()])",
    "for l in m.layers:\n    l.set_weights([np.clip(w, -1, 1) for w in l.get_weights()])",
    "def quantize(m):\n    m.set_weights([np.clip(w, -1, 1) for w in m.get_weights()])\nquantize(m)",
    "for m in members:\n    m.set_weights([np.clip(w, -1, 1) for w in m.get_weights()])",
    "for step in range(9):\n    other.set_weights([np.clip(w, -1, 1) for w in m.get_weights()])",
    "for step in range(9):\n    m.train_on_batch(x, y)\n    print([np.clip(w, -1, 1) for w in m.get_weights()])",
]


@pytest.mark.parametrize("source", ONCE)
def test_it_runs_once_or_does_not_come_back(source: str) -> None:
    assert script_of(IMPORTS + source).all(WeightWrite) == ()


STEP = "for step in range(9):\n    m.train_on_batch(x, y)\n"

NOT_FOR_CERTAIN = [
    "    ws = m.get_weights()\n    ws = [np.clip(w, -1, 1) for w in ws]\n    m.set_weights(ws)\n    seen = ws",
    "    m.set_weights([np.clip(w, -1, 1) for w in m.get_weights() if w.ndim > 1])",
    "    m.set_weights([np.clip(w, -1, 1) if w.ndim > 1 else w for w in m.get_weights()])",
    "    m.set_weights([np.clip(w, -w.std(), w.std()) for w in m.get_weights()])",
    "    m.set_weights([noise(np.clip(w, -1, 1)) for w in m.get_weights()])",
    "    m.set_weights([np.clip(w, -1, None) for w in m.get_weights()])",
    "    ws = m.get_weights()\n    ws[0] = np.clip(ws[0], -1, 1)\n    m.set_weights(ws)",
]


@pytest.mark.parametrize("body", NOT_FOR_CERTAIN)
def test_what_does_more_than_clip_every_weight_is_not_rewritten(body: str) -> None:
    (write,) = script_of(IMPORTS + STEP + body).all(WeightWrite)
    assert write.rewriting is None
