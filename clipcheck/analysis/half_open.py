"""Finds the clips that only bound from below, at zero."""

from __future__ import annotations

import math
from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.reading import FileReading
from clipcheck.model.clips import Bound, HalfOpenClip, ValueClip
from clipcheck.model.code import Call, Spelling

_LARGEST = frozenset(
    f"tensorflow.{name}.max" for name in ("float32", "float64", "dtypes.float32", "dtypes.float64", "double")
)
_LIMITS = frozenset({"torch.finfo", "numpy.finfo", "tensorflow.experimental.numpy.finfo"})
_WIDE = frozenset(
    {
        "float32",
        "float64",
        "torch.float32",
        "torch.float64",
        "numpy.float32",
        "numpy.float64",
        "tensorflow.float32",
        "tensorflow.float64",
        "torch.float",
    }
)
_RELU = {"tensorflow": "tensorflow.nn.relu", "keras": "keras.ops.relu", "torch": "torch.relu"}


def read_half_open(reading: FileReading) -> Iterator[HalfOpenClip]:
    """Every clip from zero to the largest number of the type, or to infinity."""
    for clip in read_clips(reading):
        if clip.library not in _RELU or clip.in_place or clip.low is None or clip.high is None:
            continue
        if clip.tensor is not None and clip.tensor.role != "data":
            continue
        if clip.low.number == 0 and _is_largest(reading, clip, clip.high):
            yield HalfOpenClip(clip, _relu(clip))


def _is_largest(reading: FileReading, clip: ValueClip, bound: Bound) -> bool:
    node = bound.code.node
    if bound.number is not None:
        return bound.number == math.inf
    if bound.code.api in _LARGEST:
        return True
    if not isinstance(node, cst.Attribute) or node.attr.value != "max":
        return False
    own = f"{clip.subject.text}.dtype"
    if reading.text(node.value) == own:
        return True
    if not isinstance(node.value, cst.Call) or reading.api(node.value.func) not in _LIMITS or len(node.value.args) != 1:
        return False
    kind = reading.code(node.value.args[0].value)
    return kind.text.endswith(".dtype") or kind.api in _WIDE


def _relu(clip: ValueClip) -> Spelling | None:
    call: Call = clip.call
    if len(call.arguments) != (2 if clip.subject.node is getattr(call.receiver, "node", None) else 3):
        return None
    if call.receiver is not None and call.receiver.node is clip.subject.node:
        return Spelling(f"{clip.subject.text}.relu()")
    if call.callee.api == "keras.backend.clip":
        return None
    spelled = call.callee.spell(_RELU[clip.library])
    return Spelling(f"{spelled.text}({clip.subject.text})", spelled.imports)
