"""The fixed scripts run in the real frameworks, and do what was promised."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixture import ROOT, Fixture, all_fixtures

BACKENDS = {"torch": ("torch",), "tensorflow": ("tensorflow",), "keras": ("tensorflow", "torch")}
RUNNABLE = [
    pytest.param(fixture, backend, id=f"{fixture.name}-{backend}")
    for fixture in all_fixtures()
    if fixture.runs_on is not None
    for backend in BACKENDS[fixture.runs_on]
]
BOUNDED = [param for param in RUNNABLE if isinstance(param.values[0], Fixture) and param.values[0].bounded is not None]

pytestmark = pytest.mark.frameworks


def run(script: Path, backend: str, folder: Path, *claim: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "KERAS_HOME": str(folder),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(ROOT / "tests" / "run_script.py"), str(script), *claim]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(("fixture", "backend"), RUNNABLE)
def test_the_fixed_script_runs_and_keeps_its_bound(fixture: Fixture, backend: str, tmp_path: Path) -> None:
    claim = [str(word) for word in fixture.bounded or ()]
    ran = run(fixture.fixed_path or fixture.path, backend, tmp_path, *claim)
    assert ran.returncode == 0, ran.stderr[-3000:]
    if claim:
        assert ran.stdout.splitlines()[-1].startswith("held"), ran.stdout[-1000:]


@pytest.mark.parametrize(("fixture", "backend"), BOUNDED)
def test_as_it_was_written_it_breaks_its_promise(fixture: Fixture, backend: str, tmp_path: Path) -> None:
    claim = [str(word) for word in fixture.bounded or ()]
    ran = run(fixture.path, backend, tmp_path, *claim)
    if ran.returncode:
        # Bounds in the wrong order leave no weight outside, but all of them alike: such a script asserts it itself.
        assert ran.stderr.splitlines()[-1].startswith("AssertionError"), ran.stderr[-3000:]
    else:
        assert ran.stdout.splitlines()[-1].startswith("violated"), ran.stdout[-1000:]
