"""Steps whose gradients are values (TensorFlow, Keras), and those that trainers run."""

from __future__ import annotations

import textwrap

import pytest

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.steps import read_steps
from clipcheck.model.steps import Action, Event
from tests.analysis.reading import script_of

HEAD = """
import tensorflow as tf
import keras
model = keras.Sequential([keras.layers.Dense(1)])
opt = keras.optimizers.SGD(0.1)
"""


def events(source: str, head: str = HEAD) -> list[Event]:
    reading = script_of(head + textwrap.dedent(source)).reading
    assert isinstance(reading, FileReading)
    return [event for step in read_steps(reading, without_clips=True) for event in step.graphs[0].events]


def told(source: str, head: str = HEAD) -> list[tuple[Action, set[str]]]:
    found = events(source, head)
    return [(e.action, set(e.models)) for e in found if e.action not in (Action.START, Action.END)]


def test_a_tape_a_clip_and_an_update_are_one_step() -> None:
    source = """
        def step(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(model(x))
            grads = tape.gradient(loss, model.trainable_variables)
            grads, _ = tf.clip_by_global_norm(grads, 1.0)
            opt.apply_gradients(zip(grads, model.trainable_variables))
    """
    assert told(source) == [
        (Action.BACKWARD, {"model"}),
        (Action.CLIP_VALUES, {"model"}),
        (Action.STEP, {"model"}),
    ]


@pytest.mark.parametrize(
    "update",
    [
        "opt.apply(grads, model.trainable_variables)",
        "opt.apply_gradients(list(zip(grads, model.trainable_variables)))",
        "opt.apply_gradients([(tf.clip_by_norm(g, 1.0), v) for g, v in zip(grads, model.trainable_variables)])",
    ],
)
def test_an_update_is_of_the_model_whose_variables_it_is_handed(update: str) -> None:
    source = f"""
        def step(x, tape, loss):
            grads = tape.gradient(loss, model.trainable_variables)
            {update}
    """
    assert told(source)[-1] == (Action.STEP, {"model"})


def test_the_gradient_by_an_input_is_no_backward_pass_of_the_weights() -> None:
    source = """
        def penalty(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                score = model(x)
            return tf.norm(tape.gradient(score, x))
    """
    assert told(source) == []


@pytest.mark.parametrize(
    "call", ["opt.minimize(loss, var_list=model.trainable_variables)", "model.train_on_batch(x, y)"]
)
def test_a_call_may_be_a_whole_step(call: str) -> None:
    source = f"""
        def train(data, loss):
            for x, y in data:
                {call}
    """
    assert told(source) == [(Action.BACKWARD, {"model"}), (Action.STEP, {"model"})]


def test_an_assigned_clip_of_weights_is_a_clip_of_the_model() -> None:
    source = """
        def train(data):
            for x, y in data:
                for w in model.trainable_weights:
                    w.assign(tf.clip_by_value(w, -0.1, 0.1))
                model.train_on_batch(x, y)
    """
    assert told(source)[0] == (Action.CLIP_WEIGHTS, {"model"})


def test_where_a_graph_is_built_no_weights_are_clipped_yet() -> None:
    source = """
        loss = tf.reduce_mean(tf.placeholder(tf.float32))
        for epoch in range(3):
            clip = [w.assign(tf.clip_by_value(w, -0.1, 0.1)) for w in model.trainable_weights]
            train = opt.minimize(loss, var_list=model.trainable_weights)
    """
    assert [action for action, _ in told(source)] == [Action.BACKWARD, Action.STEP]


def test_a_compiled_or_distributed_step_is_the_function_that_is_handed_over() -> None:
    source = """
        strategy = tf.distribute.MirroredStrategy()
        def step(x):
            opt.minimize(lambda: model(x), var_list=model.trainable_variables)
        fast = tf.function(step)
        def train(data):
            for x in data:
                fast(x)
                strategy.run(step, args=(x,))
    """
    assert [action for action, _ in told(source)] == [Action.BACKWARD, Action.STEP] * 2


@pytest.mark.parametrize(
    ("optimizer", "scale", "is_scaled"),
    [
        ("keras.optimizers.LossScaleOptimizer(opt)", "scale_loss", True),
        ("keras.optimizers.SGD(0.1)", "scale_loss", False),
        ("make_optimizer()", "get_scaled_loss", True),
        ("make_optimizer()", "scale_loss", False),
    ],
)
def test_a_loss_is_scaled_where_its_optimizer_surely_does(optimizer: str, scale: str, is_scaled: bool) -> None:
    source = f"""
        optimizer = {optimizer}
        def step(x, tape, loss):
            grads = tape.gradient(optimizer.{scale}(loss), model.trainable_variables)
            grads = [tf.clip_by_norm(g, 1.0) for g in grads]
            optimizer.apply_gradients(zip(grads, model.trainable_variables))
    """
    scalers = {e.scaler for e in events(source) if e.action in (Action.BACKWARD, Action.CLIP_VALUES)}
    assert scalers == ({"optimizer"} if is_scaled else {None})


TORCH = "import torch\nfrom apex import amp\nfrom torch.nn.utils import clip_grad_norm_\n"


def test_apex_scales_the_loss_until_its_block_is_left() -> None:
    source = """
        def train(model, optimizer, loss):
            with amp.scale_loss(loss, optimizer) as scaled:
                scaled.backward()
                clip_grad_norm_(amp.master_params(optimizer), 1.0)
    """
    found = events(source, TORCH)[1:-1]
    assert [event.action for event in found] == [Action.BACKWARD, Action.CLIP_GRADIENTS, Action.UNSCALE]
    assert found[0].scaler == found[2].scaler == "amp"
    assert found[1].optimizer == "optimizer"


def test_who_runs_the_backward_pass_is_told() -> None:
    source = """
        def train(model, optimizer, loader):
            accelerator = Accelerator()
            for x in loader:
                accelerator.backward(model(x))
                optimizer.step()
    """
    found = events(source, "import torch\nfrom accelerate import Accelerator\n")
    assert [event.trainer for event in found if event.action is Action.BACKWARD] == ["Accelerate"]


@pytest.mark.parametrize(
    ("call", "bound"),
    [
        ("fabric.clip_gradients(model, optimizer, 0.25)", "0.25"),
        ("fabric.clip_gradients(model, optimizer, max_norm=2)", "2"),
        ("self.clip_gradients(optimizer, 0.5)", "0.5"),
        ("accelerator.clip_grad_norm_(model.parameters(), 1.0)", "1.0"),
    ],
)
def test_the_threshold_of_a_trainers_own_clip(call: str, bound: str) -> None:
    (clip,) = (
        e for e in events(f"def f(self, fabric, accelerator, model, optimizer):\n    {call}\n", TORCH) if e.bound
    )
    assert clip.bound is not None
    assert clip.bound.text == bound
