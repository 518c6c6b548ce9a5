"""Wasserstein critics whose weights are meant to be bounded, while only their gradients are."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from clipcheck.analysis.critics import read_gradient_clipped_critics
from clipcheck.analysis.promises.places import (
    around,
    before_loops,
    negative,
    one_line,
    settings,
    spoken,
    usable,
    written,
)
from clipcheck.analysis.reading import FileReading
from clipcheck.model.code import Code
from clipcheck.model.critics import GradientBound
from clipcheck.model.promises import Interval, Promise, Promised, Spot, When, Written


def read_critic_promises(reading: FileReading) -> Iterator[Promise]:
    for fact in read_gradient_clipped_critics(reading):
        bound = fact.bound
        limit = bound.limit
        spots = tuple(_spots(reading, bound)) if limit is not None else ()
        if limit is None or not spots or (limit.number is None and all(spot.bounds.high is None for spot in spots)):
            continue
        known = Interval(None if limit.number is None else -limit.number, limit.number)
        runs_in = () if bound.argument is not None else around(reading, bound.call.node)
        yield Promise(
            Promised.WEIGHTS,
            spoken(reading, bound.model.node),
            bound.at,
            known,
            when=When.UPDATE,
            spots=spots,
            runs_in=runs_in,
        )


def _spots(reading: FileReading, bound: GradientBound) -> Iterator[Spot]:
    """Behind `compile`; at the clip, and behind what names the model, for what may run in a graph."""
    training = bound.training
    if bound.argument is not None and training is not None and training.at.method == "compile":
        place = training.at.statement
        if usable(reading, training.model.node, place.node):
            yield _with_bounds(reading, bound.limit, Spot(place, one_line(reading, training.model.node), after=True))
        return
    at = before_loops(reading, bound.call.node, bound.model.node)
    if usable(reading, bound.model.node, at):
        yield _with_bounds(reading, bound.limit, Spot(reading.code(at), one_line(reading, bound.model.node)))
    if bound.step is None or bound.step.method != "step":
        for spot in settings(reading, bound.model.node):
            yield _with_bounds(reading, bound.limit, spot)


def _with_bounds(reading: FileReading, limit: Code | None, spot: Spot) -> Spot:
    text = written(reading, None, limit, spot.statement.node).high
    return replace(spot, bounds=Written(negative(text), text)) if text is not None else spot
