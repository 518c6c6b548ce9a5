"""`keras.datasets.*.load_data` of Keras 2 and 3, with their own parameters.

| dataset | training samples | their labels | test samples |
|---|---|---|---|
| mnist, fashion_mnist | (60000, 28, 28) uint8 | (60000,) uint8 | 10000 |
| cifar10 | (50000, 32, 32, 3) uint8 | (50000, 1) uint8 | 10000 |
| cifar100 | (50000, 32, 32, 3) uint8 | (50000, 1) int64 | 10000 |
| imdb | (25000,) lists of words up to 88584 | (25000,) int64, 2 classes | 25000 |
| reuters | (8982,) lists of words up to 30979 | (8982,) int64, 46 classes | 2246 |
| boston_housing | (404, 13) float64 | (404,) float64, 5 to 50 | 102 |
| california_housing | (16512, 8) float32 | (16512,) float32, 14999 to 500001 | 4128 |
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from clipcheck.verify.child.fake_random import Array, generator, labels, pixels

Random: TypeAlias = np.random.Generator
Halves: TypeAlias = tuple[tuple[Array, Array], tuple[Array, Array]]


def install(module: ModuleType, seed: int) -> None:
    for name, make in _LOADERS.items():
        _replace(module, name, "load_data", functools.partial(make, module), seed)
    for name, count in _VOCABULARIES.items():
        _replace(module, name, "get_word_index", functools.partial(_word_index, count), seed)


def _replace(package: ModuleType, dataset: str, function: str, make: Callable[..., object], seed: int) -> None:
    """Put a stand-in where the function is defined, and where it was imported to."""
    module = _module(package.__name__, dataset)
    original = getattr(module, function, None)
    if original is None:
        return
    signature = inspect.signature(original)

    @functools.wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> object:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return make(generator(seed, dataset), **bound.arguments)

    for holder in list(sys.modules.values()):
        if getattr(holder, "__dict__", {}).get(function) is original:
            setattr(holder, function, stand_in)


def _module(package: str, dataset: str) -> ModuleType | None:
    for folder in (f"{package}.src.datasets", f"{package}.datasets"):
        try:
            return importlib.import_module(f"{folder}.{dataset}")
        except ImportError:
            continue
    return None


def _grey_images(keras: ModuleType, random: Random, **others: object) -> Halves:
    train, test = ((pixels(random, count, 28, 28), labels(random, count, 10, np.uint8)) for count in (60000, 10000))
    return train, test


def _cifar10(keras: ModuleType, random: Random, **others: object) -> Halves:
    return _colour_images(keras, random, 10, np.uint8)


def _cifar100(keras: ModuleType, random: Random, label_mode: str, **others: object) -> Halves:
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f'`label_mode` must be one of "fine", "coarse". Received: label_mode={label_mode}.')
    return _colour_images(keras, random, 100 if label_mode == "fine" else 20, np.int64)


def _colour_images(keras: ModuleType, random: Random, classes: int, dtype: type) -> Halves:
    first = keras.backend.image_data_format() == "channels_first"
    shape = (3, 32, 32) if first else (32, 32, 3)
    train, test = (
        (pixels(random, count, *shape), labels(random, count, classes, dtype).reshape(-1, 1))
        for count in (50000, 10000)
    )
    return train, test


_BOSTON = (
    (0.00632, 0.0, 0.46, 0.0, 0.385, 3.561, 2.9, 1.1296, 1.0, 187.0, 12.6, 0.32, 1.73),
    (88.9762, 100.0, 27.74, 1.0, 0.871, 8.78, 100.0, 12.1265, 24.0, 711.0, 22.0, 396.9, 37.97),
)
_CALIFORNIA = (
    (-124.35, 32.54, 1.0, 2.0, 1.0, 3.0, 1.0, 0.4999),
    (-114.31, 41.95, 52.0, 39320.0, 6445.0, 35682.0, 6082.0, 15.0001),
)
"""The least and the largest value of each feature."""


def _boston_housing(keras: ModuleType, random: Random, test_split: float, **others: object) -> Halves:
    return _split(random.uniform(*_BOSTON, (506, 13)), random.uniform(5.0, 50.0, 506), test_split)


def _california_housing(keras: ModuleType, random: Random, version: str, test_split: float, **others: object) -> Halves:
    if version not in ("small", "large"):
        raise ValueError(f"Argument `version` must be one of 'small', 'large'. Received: version={version}")
    count = 600 if version == "small" else 20640
    features = random.uniform(*_CALIFORNIA, (count, 8)).astype(np.float32)
    return _split(features, random.uniform(14999.0, 500001.0, count).astype(np.float32), test_split)


def _split(samples: Array, targets: Array, test_split: float) -> Halves:
    if not 0 <= test_split < 1:
        raise ValueError(f"Invalid `test_split` argument: {test_split}. It must be between 0 and 1 (exclusive of 1).")
    at = int(len(samples) * (1 - test_split))
    return (samples[:at], targets[:at]), (samples[at:], targets[at:])


_VOCABULARIES = {"imdb": 88584, "reuters": 30979}


def _word_index(count: int, random: Random, **others: object) -> dict[str, int]:
    return {f"word{rank}": rank for rank in range(1, count + 1)}


def _imdb(keras: ModuleType, random: Random, **reading: Any) -> Halves:
    train, test = (
        _reviews(random, np.clip(random.lognormal(5.2, 0.6, 25000), 11, 2494), _VOCABULARIES["imdb"], 2, **reading)
        for _ in range(2)
    )
    return train, test


def _reuters(keras: ModuleType, random: Random, test_split: float, **reading: Any) -> Halves:
    lengths = np.clip(random.lognormal(4.6, 0.8, 11228), 2, 2376)
    return _split(*_reviews(random, lengths, _VOCABULARIES["reuters"], 46, **reading), test_split)


def _reviews(
    random: Random,
    lengths: Array,
    vocabulary: int,
    classes: int,
    *,
    num_words: int | None,
    skip_top: int,
    maxlen: int | None,
    start_char: int | None,
    oov_char: int | None,
    index_from: int | None,
    **others: object,
) -> tuple[Array, Array]:
    """Texts as lists of ranks of words, the frequent ones often (Zipf), cut and numbered as Keras does it."""
    lengths = lengths.astype(int) + (start_char is not None)
    if maxlen:
        lengths = lengths[lengths < maxlen]
    ends = np.cumsum(lengths)
    words = (vocabulary ** random.random(int(lengths.sum()))).astype(int) + (index_from or 0)
    if start_char is not None:
        words[ends - lengths] = start_char
    kept = (words >= skip_top) & (words < (num_words or vocabulary + (index_from or 0)))
    if oov_char is not None:
        words[~kept] = oov_char
        kept[:] = True
    texts = [
        words[end - length : end][kept[end - length : end]].tolist() for length, end in zip(lengths, ends, strict=True)
    ]
    if not texts:
        raise ValueError(
            f"After filtering for sequences shorter than maxlen={maxlen}, no sequence was kept. Increase maxlen."
        )
    return np.array(texts, dtype=object), labels(random, len(texts), classes)


_LOADERS: dict[str, Callable[..., Halves]] = {
    "mnist": _grey_images,
    "fashion_mnist": _grey_images,
    "cifar10": _cifar10,
    "cifar100": _cifar100,
    "imdb": _imdb,
    "reuters": _reuters,
    "boston_housing": _boston_housing,
    "california_housing": _california_housing,
}
