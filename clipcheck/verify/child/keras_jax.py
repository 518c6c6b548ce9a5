"""Looks at numbers where Keras runs on jax: compiled steps call back with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from keras.src.backend.common.stateless_scope import in_stateless_scope

from clipcheck.verify.child.keras_looks import Array, Looks, PlainMark, Tensor


class JaxMark(PlainMark):
    """Set between steps, when all looks of the last one have arrived."""

    def set(self) -> None:
        jax.effects_barrier()
        super().set()

    def add(self) -> None:
        jax.debug.callback(super().add)


class JaxTrace:
    def __init__(self, mark: PlainMark, resets: bool) -> None:
        self._mark, self._resets = mark, resets
        self._rows: list[Array] = []
        self._marks: list[int] = []
        self._fetched = 0

    def look(self, row: Tensor) -> None:
        if isinstance(row, Tracer):
            jax.debug.callback(self._keep, row)
        else:
            self._keep(row)

    def _keep(self, row: Tensor) -> None:
        self._rows.append(np.asarray(row))
        self._marks.append(self._mark.value)
        if self._resets:
            self._mark.value = 0

    def count(self) -> int:
        return self._fetched + len(self._rows)

    def fetch(self) -> list[Looks]:
        jax.effects_barrier()
        if not self._rows:
            return []
        looks = Looks(self._fetched, np.stack(self._rows), np.array(self._marks))
        self._fetched += len(self._rows)
        self._rows, self._marks = [], []
        return [looks]


class Jax:
    def __init__(self) -> None:
        self._is_in_trainer = False

    def is_traced(self, optimizer: Any) -> bool:
        return isinstance(optimizer._iterations.value, Tracer)

    def is_functional(self, optimizer: Any) -> bool:
        return in_stateless_scope() and not self._is_in_trainer

    def can_look(self, tensors: Sequence[Tensor]) -> bool:
        return True

    def is_running(self) -> bool:
        return True

    def is_variable(self, subject: object) -> bool:
        return False

    def value(self, variable: Any) -> Tensor:
        return variable.value

    def identity(self, variable: Any) -> int:
        return id(variable)

    def device(self, tensor: Tensor) -> str:
        devices = () if isinstance(tensor, Tracer) else tensor.devices()
        return ", ".join(sorted(f"{device.platform}:{device.id}" for device in devices))

    def extremes(self, values: Sequence[Tensor]) -> Tensor:
        values = [jax.lax.stop_gradient(value) for value in values]
        lows = jnp.stack([_wide(jnp.min(value)) for value in values])
        highs = jnp.stack([_wide(jnp.max(value)) for value in values])
        return jnp.concatenate([-lows, highs])

    def gradients(self, gradients: Sequence[Tensor]) -> Tensor:
        squares = jnp.stack([jnp.sum(jnp.square(_wide(each))) for each in gradients])
        return jnp.concatenate([self.extremes(gradients), squares])

    def mark(self, like: Tensor) -> JaxMark:
        return JaxMark()

    def trace(self, width: int, like: Tensor, mark: PlainMark, resets: bool) -> JaxTrace:
        return JaxTrace(mark, resets)

    def fetched(self, row: Tensor) -> Array:
        return np.asarray(row)

    def settle(self) -> None:
        jax.effects_barrier()

    def on_calls(self, step: Callable[[], None]) -> None:
        from keras import Model

        trainer = next(kind for kind in Model.__mro__ if kind.__name__ == "JAXTrainer")
        make = trainer._make_function

        @wraps(make)
        def watched(*args: Any, **kwargs: Any) -> Any:
            run = make(*args, **kwargs)

            @wraps(run)
            def stepped(*args: Any, **kwargs: Any) -> Any:
                step()
                self._is_in_trainer = True
                try:
                    return run(*args, **kwargs)
                finally:
                    self._is_in_trainer = False

            return stepped

        trainer._make_function = watched

    def quietly(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    def as_written(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    def version(self) -> dict[str, str]:
        return {"jax": jax.__version__}


def _wide(value: Tensor) -> Tensor:
    return value if value.dtype == jnp.float64 else value.astype(jnp.float32)
