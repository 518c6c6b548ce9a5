"""Looks at numbers in TensorFlow: in the graph, also where XLA compiles it, in variables that no script sees."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager.polymorphic_function.polymorphic_function import Function

from clipcheck.verify.child.keras_looks import Array, Looks, Tensor

SIZE = 1024
"""Looks that a trace holds before it is fetched. Of those that one call makes beyond it only the extremes are kept."""


class TensorFlowMark:
    def __init__(self, like: Tensor) -> None:
        with tf.init_scope(), tf.device(like.device):
            self.value = tf.Variable(0.0, trainable=False)

    def set(self) -> None:
        self.value.assign(1.0)

    def add(self) -> None:
        self.value.assign_add(1.0)

    def is_set(self) -> bool:
        with tf.init_scope():
            return bool(self.value.numpy())


class TensorFlowTrace:
    """A ring of rows, in the order of the looks."""

    def __init__(self, width: int, like: Tensor, mark: TensorFlowMark, resets: bool) -> None:
        self._mark, self._resets = mark, resets
        self._dtype = tf.float64 if like.dtype == tf.float64 else tf.float32
        with tf.init_scope(), tf.device(like.device):
            self._rows = tf.Variable(tf.zeros((SIZE, width + 1), self._dtype), trainable=False)
            self._most = tf.Variable(self._nothing(width + 1), trainable=False)
            self._count = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._fetched = 0

    def _nothing(self, width: int) -> Tensor:
        return tf.fill((width,), tf.constant(-np.inf, self._dtype))

    def look(self, row: Tensor) -> None:
        row = tf.concat([tf.cast(row, self._dtype), [tf.cast(self._mark.value, self._dtype)]], 0)
        self._rows.scatter_nd_update([[self._count % SIZE]], [row])
        self._most.assign(tf.maximum(self._most, row))
        self._count.assign_add(1)
        if self._resets:
            self._mark.value.assign(0.0)

    def count(self) -> int:
        with tf.init_scope():
            return int(self._count.numpy())

    def fetch(self) -> list[Looks]:
        with tf.init_scope():
            looks = list(self._looks())
            self._most.assign(self._nothing(self._most.shape[0]))
        return looks

    def _looks(self) -> Iterator[Looks]:
        count, start = self.count(), self._fetched
        if count - start > SIZE:
            yield _looks(start, self._most.numpy()[None])
            start = count - SIZE
        if count > start:
            yield _looks(start, self._rows.numpy()[np.arange(start, count) % SIZE])
        self._fetched = count


def _looks(first: int, rows: Array) -> Looks:
    return Looks(first, rows[:, :-1], rows[:, -1])


class TensorFlow:
    def is_traced(self, optimizer: Any) -> bool:
        return not tf.executing_eagerly()

    def is_functional(self, optimizer: Any) -> bool:
        return False

    def can_look(self, tensors: Sequence[Tensor]) -> bool:
        if tf.distribute.has_strategy():
            raise NotImplementedError("weights that tf.distribute spreads over devices cannot be watched")
        return bool(tf.compat.v1.executing_eagerly_outside_functions())

    def is_running(self) -> bool:
        return tf.executing_eagerly() or _calls.are_under_way

    def is_variable(self, subject: object) -> bool:
        return isinstance(subject, tf.Variable)

    def value(self, variable: Any) -> Tensor:
        return variable if isinstance(variable, tf.Variable) else variable.value

    def identity(self, variable: Any) -> int:
        return id(getattr(variable, "_value", variable))

    def device(self, tensor: Tensor) -> str:
        return str(tensor.device).rpartition("device:")[2].lower()

    def extremes(self, values: Sequence[Tensor]) -> Tensor:
        if tf.executing_eagerly() or _calls.are_plain:
            lows = _stacked([tf.reduce_min(value) for value in values])
            highs = _stacked([tf.reduce_max(value) for value in values])
        else:
            lows, highs = _compiled_extremes(values)
        return tf.concat([-lows, highs], 0)

    def gradients(self, gradients: Sequence[Tensor]) -> Tensor:
        dense = [gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient for gradient in gradients]
        squares = _stacked([tf.reduce_sum(tf.square(tf.cast(each, _wide(each)))) for each in dense])
        extremes = self.extremes(dense)
        return tf.concat([extremes, tf.cast(squares, extremes.dtype)], 0)

    def mark(self, like: Tensor) -> TensorFlowMark:
        return TensorFlowMark(like)

    def trace(self, width: int, like: Tensor, mark: TensorFlowMark, resets: bool) -> TensorFlowTrace:
        return TensorFlowTrace(width, like, mark, resets)

    def fetched(self, row: Tensor) -> Array:
        return np.asarray(row.numpy())

    def settle(self) -> None:
        return

    def on_calls(self, step: Callable[[], None]) -> None:
        _calls.watch(step)

    def quietly(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return _unconverted(function)

    def as_written(self, function: Callable[..., Any]) -> Callable[..., Any]:
        context = tf.__internal__.autograph.control_status_ctx()
        is_converted = context.status.name == "ENABLED"
        return tf.__internal__.autograph.tf_convert(function, context) if is_converted else function

    def version(self) -> dict[str, str]:
        return {"tensorflow": tf.__version__}


def _unconverted(function: Callable[..., Any]) -> Callable[..., Any]:
    """AutoGraph calls it as it is, and leaves its own state as it was."""
    function.autograph_info__ = {}  # type: ignore[attr-defined]
    return function


def _compiled_extremes(values: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Lows and highs in code of XLA's, whose minimum and maximum pass over NaN; its sum does not."""
    lows = _stacked([_by_columns(tf.reduce_min, value) for value in values])
    highs = _stacked([_by_columns(tf.reduce_max, value) for value in values])
    sums = _stacked([_by_columns(tf.reduce_sum, tf.cast(value, _wide(value))) for value in values])
    nan = tf.constant(np.nan, sums.dtype)
    is_nan = tf.math.is_nan(sums)
    return tf.where(is_nan, nan, lows), tf.where(is_nan, nan, highs)


def _by_columns(reduce: Callable[..., Tensor], value: Tensor) -> Tensor:
    """XLA reduces the columns of a matrix together, in half the time on a CPU."""
    return reduce(reduce(value, 0)) if value.shape.rank else value


def _wide(tensor: Tensor) -> Any:
    return tf.float64 if tensor.dtype == tf.float64 else tf.float32


def _stacked(scalars: Sequence[Tensor]) -> Tensor:
    """In the smallest dtype that has all their values: halves are in float32."""
    dtype = tf.float64 if any(scalar.dtype == tf.float64 for scalar in scalars) else tf.float32
    return tf.stack([tf.cast(scalar, dtype) for scalar in scalars])


class _Calls(threading.local):
    """The calls of functions that TensorFlow traces, and what is to be done before the outermost ones."""

    steps: tuple[Callable[[], None], ...] = ()

    def __init__(self) -> None:
        self._under_way: list[Any] = []

    @property
    def are_under_way(self) -> bool:
        return bool(self._under_way)

    @property
    def are_plain(self) -> bool:
        """All calls under way are known, and XLA compiles none of them."""
        return bool(self._under_way) and not any(getattr(call, "_jit_compile", True) for call in self._under_way)

    def watch(self, step: Callable[[], None]) -> None:
        if not _Calls.steps:
            self._patch()
        _Calls.steps = (*_Calls.steps, step)

    def _patch(self) -> None:
        call = Function.__call__

        @wraps(call)
        def watched(function: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._under_way and tf.executing_eagerly():
                for step in _Calls.steps:
                    step()
            with self._calling(function):
                return call(function, *args, **kwargs)

        Function.__call__ = watched

    @contextmanager
    def _calling(self, function: Any) -> Iterator[None]:
        self._under_way.append(function)
        try:
            yield
        finally:
            self._under_way.pop()


_calls = _Calls()
