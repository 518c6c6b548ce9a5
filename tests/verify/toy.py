"""A framework of one class, and its watcher: what a script imports in these tests to be seen without torch or Keras."""

from __future__ import annotations

import builtins

from clipcheck.verify.record import Seen


class Weight:
    """One number, and what is known of it."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = value
        self.claim: int | None = None
        self.limits = None
        self.values: list[float] = []

    def step(self, change: float) -> None:
        """An update."""
        self.value += change
        self.values.append(self.value)
        if self.claim is not None:
            session.updated()


class Watcher:
    def __init__(self) -> None:
        self.weights: list[Weight] = []

    def bind(self, number, claim, subject, limits):
        if subject == "a bug":
            raise ZeroDivisionError("in the watcher")
        if not isinstance(subject, Weight):
            return False
        if subject.claim is None:
            self.weights.append(subject)
        subject.claim, subject.limits = number, limits
        return True

    def finish(self):
        for weight in self.weights:
            yield self._seen(weight)

    def history(self):
        return {weight.claim: list(enumerate(map(abs, weight.values), 1)) for weight in self.weights}

    def versions(self):
        return {"toy": "1.0"}

    def _seen(self, weight):
        low, high = weight.limits.low, weight.limits.high

        def is_out(value):
            return (low is not None and value < low) or (high is not None and value > high)

        out = [at for at, value in enumerate(weight.values, 1) if is_out(value)]
        return Seen(
            weight.claim,
            "weight",
            (),
            "float64",
            "cpu",
            low,
            high,
            updates=len(weight.values),
            looks=len(weight.values),
            lowest=min(weight.values, default=None),
            highest=max(weight.values, default=None),
            extreme_update=1 + weight.values.index(max(weight.values, key=abs)) if weight.values else None,
            violated_update=out[0] if out else None,
            violated_value=weight.values[out[0] - 1] if out else None,
            last_is_out=session.is_at_end and is_out(weight.value),
        )


session = builtins.__clipcheck__
session.watchers.append(Watcher())
