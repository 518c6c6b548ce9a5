"""Every update that an optimizer of Keras makes passes through here: of Keras 3, and of its predecessor `tf_keras`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any, Protocol, TypeAlias

from clipcheck.verify.child.keras_looks import Backend, Tensor

Method: TypeAlias = Callable[..., Any]

_APPLY = ("apply", "apply_gradients")
_WRAPPERS = frozenset({"LossScaleOptimizer", "LossScaleOptimizerV3", "MultiOptimizer"})
"""They call others, or skip the update: it is the others that are watched."""


class Eyes(Protocol):
    """What looks at updates. Inside a graph these are called once, when it is traced."""

    def step(self, optimizer: Any) -> None:
        """Nothing is under way and an update is about to be made: the run may be ended here."""
        ...

    def before(self, optimizer: Any, variables: Sequence[Any]) -> None:
        """These variables are about to be updated."""
        ...

    def after(self, optimizer: Any, variables: Sequence[Any]) -> None:
        """They have been, with all that the optimizer does about it."""
        ...

    def gradients(self, optimizer: Any, variables: Sequence[Any], gradients: Sequence[Tensor]) -> None:
        """What arrives at the variables, after the optimizer's own clipping."""
        ...


class _UnderWay(threading.local):
    """The updates under way in a thread: an optimizer may call another, or its base.

    updated: the variables that are updated together, for each such call in the outermost one.
    """

    def __init__(self) -> None:
        self.depth = 0
        self.updated: dict[tuple[int, ...], list[Any]] = {}
        self.inner: list[Any] = []
        """The variables of the innermost call."""


class Updates:
    """Shows every update to some eyes.

    is_torn: an update was given up half way, and weights may be where no complete update leaves them.
    """

    def __init__(self, eyes: Eyes, backend: Backend) -> None:
        self._eyes = eyes
        self._backend = backend
        self._under_way = _UnderWay()
        self.is_torn = False

    def watch(self, optimizer: type) -> None:
        """Patch an optimizer class, its base, and all that derive from it, now or later."""
        base = next(kind for kind in reversed(optimizer.__mro__) if any(name in kind.__dict__ for name in _APPLY))
        for kind in _with_subclasses(base):
            if kind is not base:
                self._watch_own(kind)
        if "apply" in base.__dict__:
            _replace(base, "apply", self._applying)
        else:
            _replace(base, "apply_gradients", self._applying_pairs)
        for name, watched in (("_clip_gradients", self._clipping), ("_transform_gradients", self._clipping_pairs)):
            if name in base.__dict__:
                _replace(base, name, watched)
        _on_subclass(base, self._watch_own)

    def _watch_own(self, kind: type) -> None:
        """An optimizer's own ways to apply gradients, which may do more than those of its base."""
        if kind.__name__ in _WRAPPERS:
            return
        for name in _APPLY:
            if name in kind.__dict__:
                _replace(kind, name, self._around)

    def _around(self, apply: Method) -> Method:
        def watched(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            with _Update(self, optimizer):
                return self._backend.as_written(apply)(optimizer, *args, **kwargs)

        return self._backend.quietly(watched)

    def _applying(self, apply: Method) -> Method:
        def watched(optimizer: Any, grads: Any, trainable_variables: Any = None, **kwargs: Any) -> Any:
            variables = None if trainable_variables is None else list(trainable_variables)
            with _Update(self, optimizer) as update:
                update.begin(
                    zip(grads, optimizer._trainable_variables if variables is None else variables, strict=False)
                )
                return apply(optimizer, grads, variables, **kwargs)

        return self._backend.quietly(watched)

    def _applying_pairs(self, apply: Method) -> Method:
        def watched(optimizer: Any, grads_and_vars: Any, *args: Any, **kwargs: Any) -> Any:
            pairs = list(grads_and_vars)
            with _Update(self, optimizer) as update:
                update.begin(iter(pairs))
                return apply(optimizer, pairs, *args, **kwargs)

        return self._backend.quietly(watched)

    def _clipping(self, clip: Method) -> Method:
        def watched(optimizer: Any, grads: Any) -> Any:
            clipped = clip(optimizer, grads)
            variables = self._under_way.inner
            if len(variables) == len(clipped):
                self._eyes.gradients(optimizer, variables, clipped)
            return clipped

        return self._backend.quietly(watched)

    def _clipping_pairs(self, clip: Method) -> Method:
        def watched(optimizer: Any, grads_and_vars: Any) -> Any:
            pairs = list(clip(optimizer, grads_and_vars))
            if pairs:
                gradients, variables = zip(*pairs, strict=True)
                self._eyes.gradients(optimizer, variables, gradients)
            return pairs

        return self._backend.quietly(watched)


class _Update:
    """One call of an optimizer, with what it calls in turn."""

    def __init__(self, updates: Updates, optimizer: Any) -> None:
        self._updates = updates
        self._optimizer = optimizer
        self._under_way = updates._under_way
        self._eyes = updates._eyes

    def __enter__(self) -> _Update:
        if not self._under_way.depth:
            self._eyes.step(self._optimizer)
            self._under_way.updated = {}
        self._under_way.depth += 1
        return self

    def begin(self, pairs: Iterator[tuple[Any, Any]]) -> None:
        """pairs: gradients and variables. Those without a gradient are not updated."""
        variables = [variable for gradient, variable in pairs if gradient is not None]
        self._under_way.inner = variables
        if variables:
            self._under_way.updated[tuple(map(id, variables))] = variables
            self._eyes.before(self._optimizer, variables)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._under_way.depth -= 1
        if kind is not None:
            self._updates.is_torn = True
        elif not self._under_way.depth:
            for variables in self._under_way.updated.values():
                self._eyes.after(self._optimizer, variables)


def _replace(kind: type, name: str, watched: Callable[[Method], Method]) -> None:
    original = kind.__dict__[name]
    setattr(kind, name, wraps(original)(watched(original)))


def _on_subclass(base: type, watch: Callable[[type], None]) -> None:
    """Have `watch` called with every class that will derive from another."""
    inherited = base.__init_subclass__

    def derived(kind: type, **options: Any) -> None:
        getattr(inherited, "__func__", lambda kind, **options: inherited(**options))(kind, **options)
        watch(kind)

    base.__init_subclass__ = classmethod(derived)  # type: ignore[arg-type, assignment]


def _with_subclasses(kind: type) -> Iterator[type]:
    yield kind
    derived: type
    for derived in kind.__subclasses__():
        yield from _with_subclasses(derived)
