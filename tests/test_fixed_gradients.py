"""Fixed torch scripts apply the gradients that they ask for, clipped once; as they were written, they do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixture import ROOT, Fixture, all_fixtures

CLIPPED = [pytest.param(fixture, id=fixture.name) for fixture in all_fixtures() if fixture.clipped is not None]
ORDER_RULES = {
    "clip_before_backward",
    "clip_after_step",
    "clip_scaled_gradients",
    "clip_every_microbatch",
    "clip_outside_loop",
}


@pytest.mark.frameworks
@pytest.mark.parametrize("fixture", CLIPPED)
def test_after_the_fix_the_optimizer_applies_clipped_gradients(fixture: Fixture, tmp_path: Path) -> None:
    assert fixture.fixed_path is not None
    assert verdict(fixture, fixture.fixed_path, tmp_path).startswith("held")


@pytest.mark.frameworks
@pytest.mark.parametrize("fixture", CLIPPED)
def test_before_the_fix_it_does_not(fixture: Fixture, tmp_path: Path) -> None:
    assert verdict(fixture, fixture.path, tmp_path).startswith("violated")


def test_each_rule_on_the_order_of_the_step_is_measured() -> None:
    assert {fixture.path.parent.name for fixture in all_fixtures() if fixture.clipped is not None} >= ORDER_RULES


def verdict(fixture: Fixture, script: Path, folder: Path) -> str:
    assert fixture.clipped is not None
    by, bound = fixture.clipped
    command = [sys.executable, str(ROOT / "tests" / "run_gradients.py"), str(script), by, str(bound)]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout.splitlines()[-1]
