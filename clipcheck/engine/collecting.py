"""Garbage is collected between files, and not while one is read: a tree is made of many objects, all of them needed."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_OFTEN = 100_000
"""How many objects more than before make the collector look: trees of a few thousand lines have fewer."""


def collect_seldom() -> None:
    """For a process that does nothing but check files."""
    gc.set_threshold(_OFTEN, 20, 20)


def collect_no_more() -> None:
    """For a process that ends: the collector would look at every object once more, and all of them go anyway."""
    gc.freeze()


@contextmanager
def without_collecting() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
