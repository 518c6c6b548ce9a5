"""What tf_keras does is seen too."""

from __future__ import annotations

import numpy as np
import pytest

from clipcheck.verify.claim import Kind, Since
from tests.verify.keras_watch import SCRIPTS, Watched, by_class, by_note, watch

LEGACY = SCRIPTS / "legacy.py"
C = float(np.float32(0.01))

pytestmark = pytest.mark.frameworks


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    pytest.importorskip("tf_keras")
    compiled = 'gradient_clipped.compile(keras.optimizers.Adam(0.05, clipvalue=0.01), "mse")'
    clip = "clipped = [np.clip(w, -0.01, 0.01) for w in never_set.get_weights()]"
    claims = [
        *(by_class(name) for name in ("Fitted", "ByOldOptimizer", "Taped")),
        by_note(LEGACY, compiled, "gradient_clipped", 0.01),
        by_note(LEGACY, compiled, "gradient_clipped", 0.01, kind=Kind.GRADIENTS, name="gradients"),
        by_note(LEGACY, clip, "never_set", 0.01, since=Since.CLIP, after=False),
    ]
    with pytest.MonkeyPatch.context() as monkeypatch:
        return watch(LEGACY, claims, "tensorflow", tmp_path_factory.mktemp("job"), monkeypatch)


@pytest.mark.parametrize(("subject", "updates"), [("Fitted", 10), ("ByOldOptimizer", 10), ("Taped", 4)])
def test_constraint_holds(run: Watched, subject: str, updates: int) -> None:
    seen = run.seen(subject)
    assert list(seen) == ["hidden.kernel", "hidden.bias", "score.kernel", "score.bias"]
    assert {(one.updates, one.looks, one.high) for one in seen.values()} == {(updates, updates + 1, C)}
    assert {one.violated_update for one in seen.values()} == {None}
    assert C in (seen["hidden.kernel"].highest, -seen["hidden.kernel"].lowest)


def test_gradient_clip_does_not_bound_weights(run: Watched) -> None:
    assert {one.violated_update for one in run.seen("gradient_clipped").values()} == {1}
    (gradients,) = run.seen("gradients").values()
    assert (gradients.lowest, gradients.highest, gradients.looks) == (-C, C, 10)


def test_clip_that_is_never_set_back_is_caught(run: Watched) -> None:
    assert run.seen("never_set")["hidden.kernel"].violated_update == 1


def test_versions_are_told(run: Watched) -> None:
    assert {"tf_keras", "tensorflow"} <= set(run.record.versions)
