"""How an API is written in a file's own import style."""

from __future__ import annotations

import pytest

from clipcheck.model.code import Spelling
from tests.analysis.reading import script_of


@pytest.mark.parametrize(
    ("source", "dotted", "spelling"),
    [
        ("import keras", "keras.ops.clip", Spelling("keras.ops.clip")),
        ("from keras import ops", "keras.ops.clip", Spelling("ops.clip")),
        ("from keras import ops as o\nimport keras", "keras.ops.clip", Spelling("o.clip")),
        ("from keras.ops import clip", "keras.ops.clip", Spelling("clip")),
        ("import numpy as np", "keras.ops.clip", Spelling("ops.clip", (("keras", "ops"),))),
        ("from mine import ops", "keras.ops.clip", Spelling("keras.ops.clip", (("keras", None),))),
        ("import torch.nn as nn", "torch.no_grad", Spelling("torch.no_grad", (("torch", None),))),
        ("import tensorflow as tf", "tensorflow.clip_by_value", Spelling("tf.clip_by_value")),
    ],
)
def test_spelling(source: str, dotted: str, spelling: Spelling) -> None:
    script = script_of(f"{source}\nprint(1)\n")
    assert script.calls[-1].spell(dotted) == spelling


def test_an_import_that_the_function_hides_is_not_used() -> None:
    script = script_of(
        """
        from keras import ops
        def f(ops):
            print(ops)
        """
    )
    assert script.calls[-1].spell("keras.ops.clip").text == "keras.ops.clip"
