"""What expressions stand for."""

from __future__ import annotations

import math

import pytest

from clipcheck.model.value import UNKNOWN, Constant, Instance, Many, Tensor
from tests.analysis.reading import last, script_of


@pytest.mark.parametrize(
    ("source", "expression", "value"),
    [
        ("print(-0.01)", "-0.01", -0.01),
        ("c = 1e-2\nprint(c)", "c", 0.01),
        ("c = 1 / 100\nprint(-c)", "-c", -0.01),
        ("import math\nprint(math.inf)", "math.inf", math.inf),
        ("print(float('inf'))", "float('inf')", math.inf),
        ("low, high = -1, 2\nprint(high)", "high", 2),
        ("bounds = (-1, 2)\nprint(bounds[0])", "bounds[0]", -1),
        ("config = {'clip': 0.5}\nprint(config['clip'])", "config['clip']", 0.5),
        ("config = dict(clip=0.5)\nprint(config['clip'])", "config['clip']", 0.5),
        ("print(0.5 if x else 0.5)", "0.5 if x else 0.5", 0.5),
    ],
)
def test_constants_are_folded(source: str, expression: str, value: float) -> None:
    found = last(script_of(source), expression).value
    assert isinstance(found, Constant)
    assert found.value == value


@pytest.mark.parametrize("option", ["'--clip-value', '-c'", "'--clip', dest='clip_value'"])
def test_a_command_line_default_is_a_value_that_may_be_overridden(option: str) -> None:
    script = script_of(
        f"""
        parser.add_argument({option}, type=float, default=0.01)
        args = parser.parse_args()
        print(args.clip_value)
        """
    )
    assert last(script, "args.clip_value").value == Constant(0.01, assumed=True)


def test_an_attribute_has_the_value_that_the_constructor_stores() -> None:
    script = script_of(
        """
        class Trainer:
            def __init__(self, clip_value=0.01):
                self.clip_value = clip_value
            def step(self):
                print(self.clip_value)
        """
    )
    assert last(script, "self.clip_value").value == Constant(0.01, assumed=True)


def test_a_parameter_has_the_value_that_all_callers_of_the_file_give() -> None:
    script = script_of(
        """
        def clip_weights(model, low, high):
            print(low)
        clip_weights(critic, -0.01, 0.01)
        clip_weights(other, -0.01, 0.02)
        """
    )
    assert last(script, "low").value == Constant(-0.01)


def test_a_parameter_on_which_callers_disagree_is_unknown() -> None:
    script = script_of(
        """
        def clip_weights(model, high):
            print(high)
        clip_weights(critic, 0.01)
        clip_weights(other, 0.02)
        """
    )
    assert last(script, "high").value == UNKNOWN


def test_the_last_assignment_on_every_path_is_the_value() -> None:
    script = script_of(
        """
        c = 1.0
        c = 2.0
        print(c)
        """
    )
    assert last(script, "c").value == Constant(2.0)


def test_a_branch_may_have_changed_the_value() -> None:
    script = script_of(
        """
        c = 1.0
        if wide:
            c = 2.0
        print(c)
        """
    )
    assert last(script, "c").value == UNKNOWN


def test_an_assignment_in_the_other_branch_does_not_reach() -> None:
    script = script_of(
        """
        if wide:
            c = 2.0
        else:
            c = 1.0
            print(c)
        """
    )
    assert last(script, "c").value == Constant(1.0)


def test_an_assignment_further_down_reaches_around_the_loop() -> None:
    script = script_of(
        """
        c = 1.0
        for batch in data:
            print(c)
            c = 2.0
        """
    )
    assert last(script, "c").value == UNKNOWN


def test_something_that_depends_on_itself_is_unknown() -> None:
    script = script_of(
        """
        while True:
            c = c + 1
            print(c)
        """
    )
    assert last(script, "c").value == UNKNOWN


def test_a_model_is_traced_through_a_builder_to_the_call_that_made_it() -> None:
    script = script_of(
        """
        from keras import Sequential
        def build_critic():
            model = Sequential()
            return model
        critic = build_critic()
        print(critic)
        """
    )
    value = last(script, "critic").value
    assert isinstance(value, Instance)
    assert value.of == "keras.Sequential"
    assert value.made.text == "Sequential()"


def test_parameters_are_a_one_shot_iterator_of_tensors_with_their_owner() -> None:
    script = script_of(
        """
        params = critic.parameters()
        kept = list(params)
        for p in kept:
            print(p.grad.data)
        """
    )
    params, kept, gradient = (last(script, text).value for text in ("params", "kept", "p.grad.data"))
    assert isinstance(params, Many)
    assert params.one_shot
    assert isinstance(kept, Many)
    assert not kept.one_shot
    assert isinstance(gradient, Tensor)
    assert (gradient.library, gradient.role, gradient.detached) == ("torch", "gradient", True)
    assert gradient.owner is not None
    assert gradient.owner.text == "critic"


@pytest.mark.parametrize(
    ("source", "expression", "library"),
    [
        ("import numpy as np\nx = np.zeros(3)\nprint(x + 1)", "x + 1", "numpy"),
        ("import torch\nx = torch.rand(3).clone()\nprint(x)", "x", "torch"),
        ("import torch\ndef f(x: torch.Tensor):\n    print(x)", "x", "torch"),
        ("import tensorflow as tf\nx = tf.nn.softmax(y)\nprint(x)", "x", "tensorflow"),
        ("def loss(y_true, y_pred):\n    print(y_pred)", "y_pred", "keras"),
        ("import torch.nn as nn\nclass N(nn.Module):\n    def forward(self, x):\n        print(x)", "x", "torch"),
        ("import torch\nx = torch.rand(3).numpy()\nprint(x)", "x", "numpy"),
        ("for w in model.trainable_weights:\n    print(w)", "w", "keras"),
    ],
)
def test_a_tensor_is_known_by_its_library(source: str, expression: str, library: str) -> None:
    value = last(script_of(source), expression).value
    assert isinstance(value, Tensor)
    assert value.library == library


def test_keras_weights_fetched_to_the_host_are_numpy_arrays_of_all_kinds() -> None:
    script = script_of(
        """
        for layer in critic.layers:
            for w in layer.get_weights():
                print(w)
        """
    )
    value = last(script, "w").value
    assert isinstance(value, Tensor)
    assert (value.library, value.role) == ("numpy", "state")
