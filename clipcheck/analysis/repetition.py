"""Whether code runs at every training step, as far as one file tells."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.model.code import Call

_TRAINS = frozenset("train_on_batch apply_gradients minimize backward manual_backward".split())
_TRAINS_MUCH = frozenset("fit fit_generator".split())
_OPTIMIZER = re.compile(r"opt|solver", re.IGNORECASE)
_PER_STEP = re.compile(
    r"^_?(train(ing)?_(step|batch|on_batch|critic|discriminator|d)|on_(train_)?batch_end|(critic|d)_step)$"
)
_STEPS = re.compile(
    r"\b(epochs?|steps?|iters?|iterations?|n_critic|num_critic|critic_iters?|d_iters?)\b", re.IGNORECASE
)
_DEPTH = 4


def is_repeated(reading: FileReading, node: cst.CSTNode, depth: int = _DEPTH) -> bool:
    """Whether a node stands in a training loop, or in a function that is called in one or runs once a step."""
    for loop in reading.loops(node):
        if not _goes_through_weights(reading, loop) and (_trains(reading, loop, depth) or _counts_steps(reading, loop)):
            return True
    function = reading.function(node)
    if function is None or depth == 0:
        return False
    if _PER_STEP.match(function.name.value) or _is_step(reading, function, node):
        return True
    return any(is_repeated(reading, call, depth - 1) for call in _calls_of(reading, function))


def _goes_through_weights(reading: FileReading, loop: cst.CSTNode) -> bool:
    """`for layer in model.layers`, `for w in weights`: not a loop of steps."""
    if not isinstance(loop, cst.For):
        return False
    text = reading.text(loop.iter)
    return bool(re.search(r"layers|weights|params|parameters|state_dict|variables|modules|children", text))


def _counts_steps(reading: FileReading, loop: cst.CSTNode) -> bool:
    if not isinstance(loop, cst.For):
        return False
    return bool(_STEPS.search(f"{reading.text(loop.target)} {reading.text(loop.iter)}"))


def _trains(reading: FileReading, node: cst.CSTNode, depth: int, also_much: bool = True) -> bool:
    for call in reading.calls_in(node):
        if _is_training(Call(call, reading), also_much):
            return True
        function = reading.origins.function(call) if depth > 0 else None
        if function is not None and function is not reading.function(node) and _trains(reading, function, depth - 1):
            return True
    return False


def _is_training(call: Call, also_much: bool) -> bool:
    if call.method in _TRAINS or (also_much and call.method in _TRAINS_MUCH):
        return True
    if call.method == "step" and call.receiver is not None:
        return bool(_OPTIMIZER.search(call.receiver.text))
    return call.callee.api == "tensorflow.GradientTape"


def _is_step(reading: FileReading, function: cst.FunctionDef, node: cst.CSTNode) -> bool:
    """Whether a function makes one update, and not in a loop of its own."""
    return any(
        _is_training(Call(call, reading), also_much=False)
        and reading.function(call) is function
        and not [loop for loop in reading.loops(call) if not _goes_through_weights(reading, loop)]
        for call in reading.calls_in(function.body)
    )


def _calls_of(reading: FileReading, function: cst.FunctionDef) -> Iterator[cst.Call]:
    """The calls of a function of this file; those of a method by its name, through any object."""
    name = function.name.value
    for call in reading.tree.all(cst.Call):
        func = call.func
        is_method = reading.class_of(function) is not None
        called = func.attr if isinstance(func, cst.Attribute) and is_method else func
        if isinstance(called, cst.Name) and called.value == name:
            yield call
