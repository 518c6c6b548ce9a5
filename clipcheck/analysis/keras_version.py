"""Whether a file is written for Keras 2."""

from __future__ import annotations

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.frameworks.keras import KERAS_3_BACKEND
from clipcheck.frameworks.tensorflow import SESSIONS

_METHODS = frozenset({"get_updates"})


def is_keras_2_code(reading: FileReading) -> bool:
    """By what only Keras 2 has: tensor functions of `keras.backend`, `get_updates`, sessions."""
    if any(function.name.value in _METHODS for function in reading.tree.all(cst.FunctionDef)):
        return True
    return any(_only_keras_2(reading, node) for node in reading.tree.all(cst.Attribute))


def _only_keras_2(reading: FileReading, node: cst.Attribute) -> bool:
    """`tf.keras.backend` has kept what Keras 3 removed from `keras.backend`: it tells nothing."""
    api = reading.api(node)
    if api is None:
        return False
    namespace, _, function = api.rpartition(".")
    if namespace == "keras.backend" and function not in KERAS_3_BACKEND:
        return all(name.startswith("keras.") for name in reading.names(node))
    return api in SESSIONS
