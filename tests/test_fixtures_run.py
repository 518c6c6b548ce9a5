"""The fixed scripts run in the real frameworks, and keep what they promise; as they were written, they do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clipcheck.report.verdict import message
from clipcheck.settings import Settings
from clipcheck.source.document import Document
from clipcheck.verify.claim import Claim
from clipcheck.verify.record import Ended
from clipcheck.verify.trial import Options, Trial, claims_in, try_out
from clipcheck.verify.verdict import Ruling
from tests.fixture import ROOT, Fixture, all_fixtures

BACKENDS = {"torch": ("torch",), "tensorflow": ("tensorflow",), "keras": ("tensorflow", "torch")}
RUNNABLE = [
    pytest.param(fixture, backend, id=f"{fixture.name}-{backend}")
    for fixture in all_fixtures()
    if fixture.runs_on is not None
    for backend in BACKENDS[fixture.runs_on]
]
BOUNDED = [param for param in RUNNABLE if isinstance(param.values[0], Fixture) and param.values[0].bounded is not None]
NOT_PROVED = {
    "gradient_clipping/bad_clip_argument/look_alikes.py": Ruling.INCONCLUSIVE,  # An option switches its clip off.
    "gradient_clipping/wrong_clip_target/look_alikes_are_right.py": Ruling.VIOLATED,  # Another optimizer does not clip.
    "gradient_clipping/wrong_clip_target/no_parameters_at_all.py": Ruling.INCONCLUSIVE,  # Some clips have no step.
    "removed_api/removed_constraint_argument/own_parameters_are_right.py": Ruling.INCONCLUSIVE,  # It trains nothing.
    "serialization/unregistered_custom_object/custom_objects_are_right.py": Ruling.INCONCLUSIVE,  # Nor does this.
}
"""What comes of right scripts that do not keep all they promise, or never come to it."""
TO_THE_END = Options(updates=0, timeout=300)

pytestmark = pytest.mark.frameworks


@pytest.fixture(autouse=True)
def seeded_process(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {
        "KERAS_BACKEND": backend,
        "KERAS_HOME": str(tmp_path),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "seeded"), os.environ.get("PYTHONPATH", "")]),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


def tried(script: Path) -> Trial:
    """A script without claims is run all the same: it has to come to its end."""
    document = Document.from_bytes(str(script), script.read_bytes())
    claims = claims_in(document, TO_THE_END, Settings())
    if not claims:
        ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=TO_THE_END.timeout)
        assert ran.returncode == 0, ran.stderr[-3000:]
    return try_out(document, claims, TO_THE_END)


def has(claims: tuple[Claim, ...], promise: tuple[str, float]) -> bool:
    name, bound = promise
    return any(claim.subject == name and (claim.low, claim.high) == (-bound, bound) for claim in claims)


@pytest.mark.parametrize(("fixture", "backend"), RUNNABLE)
def test_the_fixed_script_runs_and_keeps_its_bounds(fixture: Fixture, backend: str) -> None:
    trial = tried(fixture.fixed_path or fixture.path)
    if fixture.bounded:
        assert has(trial.job.claims, fixture.bounded), trial.job.claims
    if not trial.job.claims:
        return
    assert trial.verdict.ended is Ended.FINISHED, trial.outcome.output[-3000:]
    if fixture.fixed_path or not fixture.expected:  # Else it is wrong, and nothing repairs it.
        assert trial.verdict.ruling is NOT_PROVED.get(fixture.name, Ruling.HELD), message(trial)


@pytest.mark.parametrize(("fixture", "backend"), BOUNDED)
def test_as_it_was_written_it_breaks_its_promise(fixture: Fixture, backend: str) -> None:
    trial = tried(fixture.path)
    if trial.verdict.ended is Ended.CRASHED:
        # Bounds in the wrong order leave no weight outside, but all of them alike: such a script asserts it itself.
        assert "AssertionError" in trial.verdict.reasons[0], trial.outcome.output[-3000:]
        assert trial.verdict.ruling is Ruling.INCONCLUSIVE
    else:
        assert trial.verdict.ruling is Ruling.VIOLATED, message(trial)
