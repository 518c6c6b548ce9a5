"""An event before it is known where it stands."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.code import Code
from clipcheck.model.steps import Action


class Seen(Struct, frozen=True):
    action: Action
    code: Code
    optimizer: str | None = None
    scaler: str | None = None
    models: frozenset[str] = frozenset()
    bound: Code | None = None
    renews: bool = False
    is_lost: bool = False
    is_all: bool = True
    trainer: str | None = None
