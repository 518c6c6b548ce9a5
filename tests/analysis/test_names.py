"""Dotted names through the ways in which people import."""

from __future__ import annotations

import pytest

from tests.analysis.reading import last, script_of


@pytest.mark.parametrize(
    ("imports", "written", "name"),
    [
        ("import torch", "torch.clamp", "torch.clamp"),
        ("import torch.nn.functional as F", "F.relu", "torch.nn.functional.relu"),
        ("from torch.nn.utils import clip_grad_norm_ as clip", "clip", "torch.nn.utils.clip_grad_norm_"),
        ("import keras.backend as K", "K.clip", "keras.backend.clip"),
        ("from tensorflow.keras import backend as K", "K.clip", "tensorflow.keras.backend.clip"),
        ("import tensorflow as tf\nlayers = tf.keras.layers", "layers.Dense", "tensorflow.keras.layers.Dense"),
        ("import keras\nK = keras.backend", "K.clip", "keras.backend.clip"),
        ("from .utils import clip", "clip", ".utils.clip"),
        ("from keras.layers import *", "Dense", "keras.layers.Dense"),
        ("import numpy", "min", "builtins.min"),
        ("def clip(x):\n    return x", "clip", "__main__.clip"),
    ],
)
def test_a_name_is_resolved_through_its_import(imports: str, written: str, name: str) -> None:
    assert last(script_of(f"{imports}\n{written}(x)\n"), written).name == name


@pytest.mark.parametrize(
    ("name", "api"),
    [
        ("tensorflow.keras.layers.Dense", "keras.layers.Dense"),
        ("tensorflow.compat.v1.keras.layers.Dense", "keras.layers.Dense"),
        ("tensorflow.python.keras.layers.Dense", "keras.layers.Dense"),
        ("tf_keras.layers.Dense", "keras.layers.Dense"),
        ("keras.layers.core.Dense", "keras.layers.Dense"),
        ("keras.layers.convolutional.Conv2D", "keras.layers.Conv2D"),
        ("keras.engine.topology.Layer", "keras.layers.Layer"),
        ("keras.models.Model", "keras.Model"),
        ("keras.optimizers.legacy.Adam", "keras.optimizers.Adam"),
        ("keras.utils.register_keras_serializable", "keras.saving.register_keras_serializable"),
        ("tensorflow.compat.v1.Session", "tensorflow.Session"),
        ("torch.nn.utils.clip_grad.clip_grad_norm_", "torch.nn.utils.clip_grad_norm_"),
        ("torch.optim.adam.Adam", "torch.optim.Adam"),
        ("torch.optim.lr_scheduler.StepLR", "torch.optim.lr_scheduler.StepLR"),
    ],
)
def test_the_tables_know_one_name_for_each_way_to_import_it(name: str, api: str) -> None:
    module, _, last_part = name.rpartition(".")
    assert last(script_of(f"from {module} import {last_part}\n{last_part}(1)\n"), last_part).api == api


def test_a_name_imported_from_two_places_has_both_names_and_no_api() -> None:
    script = script_of(
        """
        try:
            from keras import backend as K
        except ImportError:
            import theano.tensor as K
        K.clip(x, 0, 1)
        """
    )
    clip = last(script, "K.clip")
    assert clip.names == {"keras.backend.clip", "theano.tensor.clip"}
    assert clip.api is None


def test_two_imports_of_the_same_api_agree() -> None:
    script = script_of(
        """
        try:
            from keras.layers import Dense
        except ImportError:
            from tensorflow.keras.layers import Dense
        Dense(1)
        """
    )
    assert last(script, "Dense").api == "keras.layers.Dense"


def test_a_parameter_hides_the_import_of_the_same_name() -> None:
    script = script_of(
        """
        import numpy as np
        def shrink(np, x):
            return np.clip(x, 0, 1)
        """
    )
    assert last(script, "np.clip").name is None


def test_a_star_import_does_not_claim_what_the_file_defines_itself() -> None:
    script = script_of(
        """
        from keras.layers import *
        class Dense: ...
        Dense(3)
        """
    )
    assert last(script, "Dense").name == "__main__.Dense"


def test_a_class_attribute_is_not_seen_from_its_methods() -> None:
    script = script_of(
        """
        from torch import clamp
        class Net:
            clamp = None
            def forward(self, x):
                return clamp(x, 0, 1)
        """
    )
    assert last(script, "clamp").name == "torch.clamp"
