"""A saved model is loaded by a fresh process, and must keep the bounds that it had."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from clipcheck.verify.child.reload import definitions
from clipcheck.verify.claim import Kind, Since
from clipcheck.verify.record import Seen
from clipcheck.verify.reload import with_reloads
from tests.verify.keras_watch import SCRIPTS, by_class, by_note, watch_job

SAVED = SCRIPTS / "saved.py"
C = float(np.float32(0.01))


@pytest.fixture(scope="module")
def reloaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """What was seen of each weight once it was loaded, by the file's name and its own."""
    claims = [
        by_class("Kept"),
        by_note(SAVED, "projected = trained(None, ProjectedSGD(radius=0.1))", "projected", 0.1, since=Since.USE),
    ]
    with pytest.MonkeyPatch.context() as monkeypatch:
        job, outcome = watch_job(SAVED, claims, "tensorflow", tmp_path_factory.mktemp("job"), monkeypatch, reload=True)
        job, outcome = with_reloads(job, outcome)
    assert not outcome.records[0].problems
    assert job.claims[-1].kind is Kind.RELOADED
    return {seen.name: seen for seen in outcome.records[0].seen if seen.claim == len(claims)}


@pytest.mark.frameworks
def test_constraint_that_is_saved_with_its_bound_holds(reloaded: dict[str, Seen]) -> None:
    for name in ("kept.keras", "checkpoint.keras", "legacy.h5"):
        kernel = reloaded[f"{name}: score.kernel"]
        assert (kernel.low, kernel.high) == (-C, C)
        assert C in (kernel.highest, -kernel.lowest)
        assert kernel.violated_update is None
        assert reloaded[f"{name}: score.bias"].violated_update is None


@pytest.mark.frameworks
def test_constraint_that_forgets_its_bound_is_caught(reloaded: dict[str, Seen]) -> None:
    kernel = reloaded["forgotten.keras: score.kernel"]
    assert kernel.violated_update is not None
    assert abs(kernel.violated_value) == 0.5


@pytest.mark.frameworks
def test_model_that_cannot_be_loaded_is_told_with_the_reason(reloaded: dict[str, Seen]) -> None:
    error = reloaded["unregistered.keras"].error
    assert "register" in error
    assert "Unregistered" in error


@pytest.mark.frameworks
def test_what_the_script_hands_over_when_it_loads_is_known(reloaded: dict[str, Seen]) -> None:
    assert reloaded["handedover.keras: score.kernel"].violated_update is None


@pytest.mark.frameworks
def test_optimizer_that_forgets_its_bound_is_caught(reloaded: dict[str, Seen]) -> None:
    kernel = reloaded["projected.keras: score.kernel"]
    assert kernel.high == float(np.float32(0.1))
    assert abs(kernel.violated_value) == 1.0


@pytest.mark.frameworks
def test_weights_alone_are_no_model(reloaded: dict[str, Seen]) -> None:
    assert not any("weights.h5" in name for name in reloaded)


def test_only_definitions_of_a_script_are_run() -> None:
    code = '''
"""A script."""
import os
from keras import layers
LIMIT = 0.01
data = load()
try:
    import tqdm
except ImportError:
    tqdm = None
if True:
    class Clip:
        c = 0.01
    train()
def build():
    return Clip()
keras.saving.get_custom_objects()["Clip"] = Clip
keras.saving.register_keras_serializable()(Clip)
model = build()
model.fit(data)
for step in range(10):
    x = 1
if __name__ == "__main__":
    SIZE = 3
'''
    assert [ast.unparse(each).splitlines()[0] for each in definitions(ast.parse(code).body)] == [
        "import os",
        "from keras import layers",
        "LIMIT = 0.01",
        "try:",
        "class Clip:",
        "def build():",
        "keras.saving.get_custom_objects()['Clip'] = Clip",
        "keras.saving.register_keras_serializable()(Clip)",
    ]
