"""Random arrays for datasets, the same for the same seed and name, in whatever order they are asked for."""

from __future__ import annotations

import zlib
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]


def generator(seed: int, *name: str | int) -> np.random.Generator:
    """A generator that only this name draws from."""
    return np.random.default_rng([seed, zlib.crc32(repr(name).encode())])


def pixels(random: np.random.Generator, *shape: int) -> npt.NDArray[np.uint8]:
    """Bytes from 0 to 255."""
    return random.integers(0, 256, shape, dtype=np.uint8)


def labels(random: np.random.Generator, count: int, classes: int, dtype: npt.DTypeLike = np.int64) -> Array:
    """Classes from 0; each of them occurs where there are enough samples."""
    made: Array = random.permutation(np.arange(count) % classes).astype(dtype)
    return made
