"""All promises of one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from clipcheck.analysis.promises.constraints import read_constraint_promises
from clipcheck.analysis.promises.critics import read_critic_promises
from clipcheck.analysis.promises.gradients import read_gradient_promises
from clipcheck.analysis.promises.loops import read_step_calls
from clipcheck.analysis.promises.optimizers import read_optimizer_promises
from clipcheck.analysis.promises.outputs import read_output_promises
from clipcheck.analysis.promises.weights import read_weight_promises
from clipcheck.analysis.reading import FileReading
from clipcheck.model.promises import Interval, Promise, Written

__all__ = ["read_promises", "read_step_calls"]


def read_promises(reading: FileReading) -> Iterator[Promise]:
    """What the file promises of weights, of gradients, of outputs."""
    for read in _READERS:
        yield from filter(_has_bounds, read(reading))


def _has_bounds(promise: Promise) -> bool:
    """Whether a bound is known, or can be had when the code runs."""
    written = (promise.by_object, *(spot.bounds for spot in promise.spots))
    return promise.known != Interval() or any(bounds != Written() for bounds in written)


_READERS: tuple[Callable[[FileReading], Iterator[Promise]], ...] = (
    read_weight_promises,
    read_constraint_promises,
    read_optimizer_promises,
    read_critic_promises,
    read_gradient_promises,
    read_output_promises,
)
