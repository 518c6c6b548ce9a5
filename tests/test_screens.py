"""Screens change no finding: what they pass over holds none."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipcheck.engine.lint import lint_bytes
from clipcheck.engine.registry import load_cards
from clipcheck.frameworks import CLIPS, GRADIENT_CLIPS, METHOD_CLIPS
from clipcheck.settings import Settings
from tests.fixture import all_fixtures

ALL = Settings(select=("ALL",))
SCREENED = load_cards()
UNSCREENED = tuple(card.without_screens() for card in SCREENED)


@pytest.mark.parametrize("fixture", all_fixtures(), ids=lambda fixture: fixture.name)
def test_nothing_is_lost(fixture: object) -> None:
    paths: list[Path | None] = [fixture.path, fixture.fixed_path]  # type: ignore[attr-defined]
    for path in filter(None, paths):
        data = path.read_bytes()
        assert lint_bytes(path.name, data, SCREENED, ALL) == lint_bytes(path.name, data, UNSCREENED, ALL)


def test_every_clip_of_the_tables_has_a_word_that_the_screens_look_for() -> None:
    names = {name.rpartition(".")[2] for name in (*CLIPS, *GRADIENT_CLIPS, *METHOD_CLIPS)}
    assert {name for name in names if "clip" not in name and "clamp" not in name} == set()
