"""What a fixture cannot say of the rules for weight clipping: that the bound survives saving, and who stays silent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixture import FIXTURES, ROOT

SAVED_AND_LOADED = """
import runpy, sys
import keras, numpy as np

script, folder = sys.argv[1:]
trained = runpy.run_path(script)
trained["critic"].save(folder + "/critic.keras")
own_loss = {"wasserstein_loss": trained["wasserstein_loss"]}
again = keras.models.load_model(folder + "/critic.keras", custom_objects=own_loss)
points = np.random.default_rng(0).normal(size=(16, 2)).astype("float32")
for sign in (1.0, -1.0) * 5:
    again.train_on_batch(points, np.full((16, 1), sign, "float32"))
weights = [keras.ops.convert_to_numpy(weight) for weight in again.trainable_weights]
assert again.optimizer.iterations > 10
assert all(np.abs(weight).max() <= np.float32(0.01) for weight in weights), weights
"""


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("story", "backend"), [("sequential_rmsprop", "tensorflow"), ("optimizer_style_keras", "torch")]
)
def test_the_bound_outlives_saving_and_loading(story: str, backend: str, tmp_path: Path) -> None:
    script = FIXTURES / "weight_clipping/gradient_clip_as_weight_clip" / f"{story}.fixed.py"
    ran = subprocess.run(
        [sys.executable, "-c", SAVED_AND_LOADED, str(script), str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_HOME": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
