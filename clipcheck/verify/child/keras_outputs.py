"""What layers return, where they say that they clip it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from types import ModuleType
from typing import Any

from clipcheck.verify.child.keras_judge import Bounds, Judge, Thing, history_of, rounded
from clipcheck.verify.child.keras_looks import Backend, Mark, Tensor, Trace, dtype_of, is_watchable, shape_of
from clipcheck.verify.child.keras_subjects import limits_by
from clipcheck.verify.child.session import Limits
from clipcheck.verify.claim import Claim
from clipcheck.verify.record import Seen

SLACK = 8 * 2.0**-23
"""Relative: a result is worked out, not cut off, and may miss its bound by some units in the last place of float32."""


class Outputs:
    """All claims about what layers return, by number. The layers of a claim are those of a class of its name."""

    def __init__(self, claims: Mapping[int, Claim], keras: ModuleType, backend: Backend) -> None:
        self._claims = claims
        self._backend = backend
        self._layer: Any = keras.layers.Layer
        self._is_symbol: Callable[[Any], bool] = keras.backend.is_keras_tensor
        self._numbers: dict[type, tuple[int, ...]] = {}
        self._updates: Mark | None = None
        self._traces: dict[tuple[int, int], Trace] = {}
        self._heard: dict[int, tuple[Any, str, tuple[int, ...]]] = {}
        """By the identity of a layer: itself, and the dtype and the shape of what it returned last."""
        self._judges: dict[tuple[int, int], Judge] = {}
        self.bound: set[int] = set()
        """The claims of which a layer was seen."""

    def watch(self, guarded: Callable[[Callable[..., None]], Callable[..., None]]) -> None:
        """Patch the base class of all layers. guarded: makes a function of ours harmless to the script."""
        if not self._claims:
            return
        call = self._layer.__call__
        look = guarded(self._look)

        @wraps(call)
        def watched(layer: Any, *args: Any, **kwargs: Any) -> Any:
            result = call(layer, *args, **kwargs)
            if self._numbers_of(type(layer)):
                look(layer, result)
            return result

        self._layer.__call__ = self._backend.quietly(watched)

    def updated(self, like: Tensor) -> None:
        """An update was made, or will be whenever this part of a graph runs."""
        if self._claims:
            self._mark(like).add()

    def _mark(self, like: Tensor) -> Mark:
        if self._updates is None:
            self._updates = self._backend.mark(like)
        return self._updates

    def _numbers_of(self, kind: type) -> tuple[int, ...]:
        """The claims that are about layers of a class: about the class that its `call` is from."""
        if kind not in self._numbers:
            own = next((parent.__name__ for parent in kind.__mro__ if "call" in parent.__dict__), "")
            self._numbers[kind] = tuple(number for number, claim in self._claims.items() if _class_of(claim) == own)
        return self._numbers[kind]

    def _look(self, layer: Any, result: Any) -> None:
        tensors = [tensor for tensor in _flat(result) if not self._is_symbol(tensor) and _is_of_numbers(tensor)]
        if not tensors or not self._backend.is_running() or not self._backend.can_look(tensors):
            return
        self.bound.update(self._numbers_of(type(layer)))
        key = id(layer), len(tensors)
        if key not in self._traces:
            like = tensors[0]
            self._traces[key] = self._backend.trace(2 * len(tensors), like, self._mark(like), resets=False)
        self._heard[id(layer)] = layer, dtype_of(tensors[0]), shape_of(tensors[0])
        self._traces[key].look(self._backend.extremes(tensors))

    def collect(self) -> None:
        """Judge what was seen since the last time."""
        for (identity, width), trace in self._traces.items():
            layer, dtype, shape = self._heard[identity]
            for some in trace.fetch():
                lows, highs = -some.rows[:, :width].max(1), some.rows[:, width:].max(1)
                for number in self._numbers_of(type(layer)):
                    judge = self._judge_of(number, layer, dtype, shape)
                    judge.look(some.marks.astype(int), lows, highs)

    def _judge_of(self, number: int, layer: Any, dtype: str, shape: tuple[int, ...]) -> Judge:
        key = number, id(layer)
        if key not in self._judges:
            claim = self._claims[number]
            limits = Limits(claim.low, claim.high)
            if claim.constrained is not None:
                limits = limits_by(layer, claim.constrained, limits)
            exact = rounded(limits.low, limits.high, dtype)
            thing = Thing(number, layer.name, shape, dtype)
            self._judges[key] = Judge(thing, Bounds(exact.low, exact.high, SLACK))
        return self._judges[key]

    def seen(self, updates: int, device: str) -> Iterator[Seen]:
        """updates: of all optimizers. device: where they were made."""
        for judge in self._judges.values():
            judge.updates = updates
            yield judge.seen(device)

    def history(self) -> dict[int, list[tuple[int, float]]]:
        return history_of((number, judge) for (number, _), judge in self._judges.items())


def _class_of(claim: Claim) -> str:
    return claim.constrained.constraint if claim.constrained is not None else claim.subject.rpartition(".")[2]


def _flat(result: Any) -> Iterator[Any]:
    if isinstance(result, Mapping):
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        for part in result:
            yield from _flat(part)
    else:
        yield result


def _is_of_numbers(tensor: Any) -> bool:
    return hasattr(tensor, "dtype") and hasattr(tensor, "shape") and is_watchable(tensor)
