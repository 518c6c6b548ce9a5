"""Finds where whole Keras models are saved."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.model.code import Call, Code
from clipcheck.model.networks import Network
from clipcheck.model.saving import SavedNetwork
from clipcheck.model.value import Constant, Instance, Items

_WHOLE = re.compile(r"\.(keras|h5|hdf5)\b")


def read_saved(reading: FileReading) -> Iterator[SavedNetwork]:
    """Every model that is saved to a file whose name says that it is one, in the order of the source."""
    only = sum(network.framework == "keras" for network in reading.networks.all) == 1
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        network = _saved_by_call(reading, call) or _saved_by_checkpoint(reading, call)
        if network is not None and network.framework == "keras":
            yield SavedNetwork(call, network, only)


def _saved_by_call(reading: FileReading, call: Call) -> Network | None:
    if call.method == "save" and call.receiver is not None and call.arguments:
        path = call.argument(0, "filepath")
        model: Code | None = call.receiver
    elif call.callee.api in ("keras.models.save_model", "keras.saving.save_model"):
        path = call.argument(1, "filepath")
        given = call.argument(0, "model")
        model = given.code if given is not None else None
    else:
        return None
    if path is None or model is None or not _is_whole(reading, path.code):
        return None
    return reading.networks.of(model.node)


def _saved_by_checkpoint(reading: FileReading, call: Call) -> Network | None:
    callbacks = call.argument(None, "callbacks") if call.method == "fit" else None
    if callbacks is None or call.receiver is None:
        return None
    value = callbacks.code.value
    given = [code.value for code in value.elements] if isinstance(value, Items) else [value]
    if not any(isinstance(one, Instance) and _is_whole_checkpoint(reading, one) for one in given):
        return None
    return reading.networks.of(call.receiver.node)


def _is_whole_checkpoint(reading: FileReading, instance: Instance) -> bool:
    if instance.of != "keras.callbacks.ModelCheckpoint" or not isinstance(instance.made, Call):
        return False
    only_weights = instance.made.argument(3, "save_weights_only")
    if only_weights is not None and only_weights.code.value != Constant(False):
        return False
    path = instance.made.argument(0, "filepath")
    return path is not None and _is_whole(reading, path.code)


def _is_whole(reading: FileReading, path: Code) -> bool:
    """Whether a path is written with the ending of a file that holds a whole model."""
    return any(_WHOLE.search(reading.text(origin)) for origin in reading.origins.of(path.node))
