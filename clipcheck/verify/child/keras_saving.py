"""Keeps each Keras model that the script saves whole, with the bounds that its weights have in the running process."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from msgspec import Struct

from clipcheck.verify.child.keras_looks import dtype_of
from clipcheck.verify.child.keras_subjects import own_path
from clipcheck.verify.child.session import Session
from clipcheck.verify.wire import dumps, loads

SAVED = "saved"
"""The folder of a job in which they are kept."""
PROBE = 1e3
"""The standard deviation of the numbers that a constraint is given, to see what it makes of them."""
_SAVING = {
    "saving.saving_lib": "save_model",
    "legacy.saving.legacy_h5_format": "save_model_to_hdf5",
    "saving.legacy.hdf5_format": "save_model_to_hdf5",
}

Array: TypeAlias = "np.ndarray[Any, Any]"
Stated: TypeAlias = Callable[[Any], "tuple[float | None, float | None]"]
"""The bounds that a claim has for a variable which its model's own optimizer clips."""


class KeptWeight(Struct, frozen=True):
    """What a weight of a saved model is to keep when it is loaded.

    index: in the weights of the model. low, high: the bounds that it had, None on a side that is open. probed: what its
    constraint made of the numbers of `probe`, as their extremes, where it does not keep to fixed bounds (a norm).
    """

    index: int
    path: str
    low: float | None = None
    high: float | None = None
    probed: tuple[float, float] | None = None


class KeptModel(Struct, frozen=True):
    """A model that was saved. name: its file's, as the script had it. framework: "keras" or "tf_keras"."""

    name: str
    file: str
    framework: str
    weights: tuple[KeptWeight, ...]


def kept_models(folder: Path) -> Iterator[KeptModel]:
    for path in sorted((folder / SAVED).glob("*.json")):
        yield loads(path.read_text(encoding="utf-8"), KeptModel)


class Keeper:
    """stated: see `Stated`."""

    def __init__(self, session: Session, keras: ModuleType, stated: Stated) -> None:
        self._session = session
        self._folder = Path(session.job.folder).absolute() / SAVED
        self._keras = keras
        self._stated = stated

    def watch(self) -> None:
        """Patch what every way to save a whole model leads to."""
        prefix = f"{self._keras.__name__}.src."
        for name, function in _SAVING.items():
            module = sys.modules.get(prefix + name)
            if module is not None:
                setattr(module, function, self._watched(getattr(module, function)))

    def _watched(self, save: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(save)
        def watched(model: Any, filepath: Any, *args: Any, **kwargs: Any) -> Any:
            result = save(model, filepath, *args, **kwargs)
            try:
                self._keep(model, Path(filepath))
            except Exception:
                self._session.failed("keeping a saved model")
            return result

        return watched

    def _keep(self, model: Any, path: Path) -> None:
        if not path.is_file():
            return
        weights = tuple(self._weights(model))
        if not weights:
            return
        self._folder.mkdir(exist_ok=True)
        saved, own = self._session.saved, str(path.absolute())
        if own not in saved:
            saved.append(own)
        copy = self._folder / f"{saved.index(own)}{path.suffix}"
        shutil.copyfile(path, copy)
        kept = KeptModel(path.name, copy.name, self._keras.__name__, weights)
        copy.with_suffix(".json").write_text(dumps(kept), encoding="utf-8")

    def _weights(self, model: Any) -> Iterator[KeptWeight]:
        for index, variable in enumerate(model.weights):
            constraint = getattr(variable, "constraint", None)
            low, high = self._stated(variable) if _is_by_script(getattr(model, "optimizer", None)) else (None, None)
            if constraint is None and low is None and high is None:
                continue
            probed = None
            if constraint is not None:
                first, second = (probe(self._keras, constraint, variable, seed) for seed in (0, 1))
                own_low, own_high = (one if one == other else None for one, other in zip(first, second, strict=True))
                low, high = own_low if low is None else low, own_high if high is None else high
                probed = first if low is None and high is None else None
            yield KeptWeight(index, own_path(variable), low, high, probed)


def probe(keras: ModuleType, constraint: Any, variable: Any, seed: int) -> tuple[float, float]:
    """The extremes of what a constraint makes of big random numbers, with either sign."""
    numbers = PROBE * np.random.default_rng(seed).standard_normal(tuple(variable.shape))
    made = np.stack([as_numbers(constraint(_tensor(keras, each, dtype_of(variable)))) for each in (numbers, -numbers)])
    return float(made.min()), float(made.max())


def _tensor(keras: ModuleType, numbers: Array, dtype: str) -> Any:
    if hasattr(keras, "ops"):
        return keras.ops.convert_to_tensor(numbers, dtype)
    import tensorflow as tf

    return tf.constant(numbers, dtype)


def as_numbers(tensor: Any) -> Array:
    """The values of a tensor or a variable of any backend."""
    value = getattr(tensor, "value", tensor)
    value = tensor if callable(value) else value
    value = value.detach().cpu().float() if hasattr(value, "detach") else value
    return np.asarray(value).astype(np.float64)


def device_of(variable: Any) -> str:
    """As "cpu" or "gpu:0"."""
    value = getattr(variable, "_value", variable)
    device = getattr(value, "device", "")
    return str(device).rpartition("device:")[2].lower() if not callable(device) else ""


def _is_by_script(optimizer: Any) -> bool:
    """Whether the class of an optimizer is not the framework's: it may clip what it updates."""
    return optimizer is not None and not type(optimizer).__module__.startswith(("keras.", "tf_keras."))
