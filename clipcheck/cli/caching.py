"""Which cache a run uses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clipcheck.cli.options import Effort
from clipcheck.cli.output import complain
from clipcheck.engine.cache import FOLDER, Cache, NotACacheError
from clipcheck.engine.cards import Card
from clipcheck.settings import Settings


def cache_for(effort: Effort, settings: Settings, rules: Sequence[Card]) -> Cache | None:
    """None where there is to be none, or the folder holds other things."""
    if not effort.uses_cache:
        return None
    try:
        return Cache(cache_folder(effort.cache_dir, settings), settings, rules)
    except NotACacheError as error:
        complain(f"nothing is kept: {error}", "warning")
        return None


def cache_folder(chosen: Path | None, settings: Settings) -> Path:
    return chosen or settings.cache_dir or settings.root / FOLDER
