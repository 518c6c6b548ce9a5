"""Clips of values: what is clipped, and what becomes of the result."""

from __future__ import annotations

import pytest

from clipcheck.model.clips import Fate, ValueClip
from tests.analysis.reading import script_of

IMPORTS = """
import numpy as np
import tensorflow as tf
import torch
from keras import backend as K, ops
"""


@pytest.mark.parametrize(
    ("call", "library", "subject", "low", "high"),
    [
        ("torch.clamp(x, -1, 2)", "torch", "x", -1, 2),
        ("torch.clamp(x, min=0)", "torch", "x", 0, None),
        ("torch.clamp(max=2, input=x)", "torch", "x", None, 2),
        ("x.clamp(0, 1)", "torch", "x", 0, 1),
        ("x.data.clamp_(-c, c)", "torch", "x.data", -0.5, 0.5),
        ("torch.clamp_min(x, 0)", "torch", "x", 0, None),
        ("np.clip(x, None, 3)", "numpy", "x", None, 3),
        ("np.clip(a=x, a_min=0, a_max=3)", "numpy", "x", 0, 3),
        ("tf.clip_by_value(x, clip_value_min=-1, clip_value_max=1)", "tensorflow", "x", -1, 1),
        ("ops.clip(x, 0, 1)", "keras", "x", 0, 1),
        ("K.clip(x, 0, 1)", "keras", "x", 0, 1),
    ],
)
def test_each_framework_s_clip_is_read_alike(
    call: str, library: str, subject: str, low: float | None, high: float | None
) -> None:
    (clip,) = script_of(f"{IMPORTS}\nc = 0.5\ny = {call}\n").all(ValueClip)
    assert (clip.library, clip.subject.text) == (library, subject)
    assert (clip.low.number if clip.low else None) == low
    assert (clip.high.number if clip.high else None) == high


@pytest.mark.parametrize("call", ["frame.clip(0, 1)", "video.clip(start, end)", "clip(x, 0, 1)", "bar.clamp"])
def test_what_only_shares_the_name_is_no_clip(call: str) -> None:
    assert script_of(f"{IMPORTS}\ny = {call}\n").all(ValueClip) == ()


def fate(body: str) -> Fate:
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    (clip,) = script_of(f"{IMPORTS}\ndef f(x, data):\n{indented}").all(ValueClip)
    return clip.fate


def test_a_bare_statement_discards_the_result() -> None:
    assert fate("torch.clamp(x, 0, 1)\nreturn x") is Fate.DISCARDED


def test_a_name_that_nothing_reads_again_is_rebound() -> None:
    assert fate("y = x.clamp(0, 1)\nreturn x") is Fate.REBOUND


@pytest.mark.parametrize(
    "body",
    [
        "y = x.clamp(0, 1)\nreturn y",
        "y = x.clamp(0, 1)\nreturn lambda: y",
        "y = x.clamp(0, 1)\ny += 1\nreturn x",
        "y = None\nfor d in data:\n    print(y)\n    y = d.clamp(0, 1)",
        "y = x.clamp(0, 1)\nif data:\n    y = 2\nreturn y",
        "global y\ny = x.clamp(0, 1)",
        "y = x.clamp(0, 1)\nreturn locals()",
        "y = x.clamp(0, 1)\nreturn [y for _ in data]",
    ],
)
def test_a_result_that_something_may_read_is_used(body: str) -> None:
    assert fate(body) is Fate.USED


def test_a_name_of_the_module_may_be_read_from_elsewhere() -> None:
    (clip,) = script_of(f"{IMPORTS}\ny = torch.clamp(x, 0, 1)\n").all(ValueClip)
    assert clip.fate is Fate.USED
