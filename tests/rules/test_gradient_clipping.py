"""What a fixture cannot say of the rules for gradient clipping: how large the updates really are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixture import FIXTURES, ROOT

UNUSED = FIXTURES / "gradient_clipping" / "clipped_gradients_unused"

STEP_FUNCTIONS = """
x, y = 100 * tf.random.normal((16, 4)), tf.random.normal((16, 1))
held(update_of(model.weights, lambda: train_step(x, y), lr=0.1), norm=GRAD_NORM)
held(update_of(model.weights, lambda: cautious_step(x, y, limit=0.01), lr=0.1), value=0.01)
"""

MODELS = """
x, y = 100 * tf.random.normal((16, 4)), 100 * tf.random.normal((16, 1))
for model, bound in ((ClippedModel(0.1), {"norm": 0.1}), (BoundedModel(0.01), {"value": 0.01})):
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse", run_eagerly=True)
    model.fit(x, y, batch_size=16, verbose=0)
    held(update_of(model.weights, lambda: model.fit(x, y, batch_size=16, verbose=0), lr=0.1), **bound)
"""

BY_HAND = """
loss = model(100 * torch.randn(8, 4)).pow(2).sum()
old = list(model.parameters())
new = inner_update(loss, old)
held([(a - b).detach().numpy() / 0.01 for a, b in zip(old, new)], value=clip)
loss = model(100 * torch.randn(8, 4)).pow(2).sum()
held(update_of(model.parameters(), lambda: descent.minimize(loss), lr=0.01), value=clip)
"""

MEASURE = """
import runpy, sys
import numpy as np

def values(weights):
    return [np.array(w.detach() if hasattr(w, "detach") else w) for w in weights]

def update_of(weights, step, lr):
    weights = list(weights)
    before = values(weights)
    step()
    return [(old - new) / lr for old, new in zip(before, values(weights))]

def held(update, norm=None, value=None):
    size = np.sqrt(sum((u ** 2).sum() for u in update)) if norm is not None else max(np.abs(u).max() for u in update)
    bound = norm if norm is not None else value
    print("held" if 0 < size <= bound * 1.01 else f"violated: {size} instead of {bound}")

script, claim = sys.argv[1:]
sys.argv = [script]
exec(claim, {**runpy.run_path(script), "update_of": update_of, "held": held})
"""


def verdicts(script: Path, claim: str, folder: Path) -> list[str]:
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_HOME": str(folder)}
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, str(script), claim],
        env={**environment, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return [line.split(":")[0] for line in ran.stdout.splitlines() if line.startswith(("held", "violated"))]


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("story", "claim"),
    [("two_step_functions", STEP_FUNCTIONS), ("custom_train_step", MODELS), ("updates_by_hand", BY_HAND)],
)
def test_the_update_is_as_small_as_the_clip_asks_once_the_clipped_gradients_are_applied(
    story: str, claim: str, tmp_path: Path
) -> None:
    assert verdicts(UNUSED / f"{story}.py", claim, tmp_path) == ["violated", "violated"]
    assert verdicts(UNUSED / f"{story}.fixed.py", claim, tmp_path) == ["held", "held"]
