"""Gradients that are clipped on their way to an optimizer."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst
from msgspec import Struct
from msgspec.structs import replace

from clipcheck.analysis.clip_targets import clip_target
from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.critics import read_gradient_clipped_critics
from clipcheck.analysis.gradient_bounds import read_gradient_bounds
from clipcheck.analysis.promises.graphs import graph_function
from clipcheck.analysis.promises.groups import group_owner
from clipcheck.analysis.promises.loops import is_occasional
from clipcheck.analysis.promises.places import (
    around,
    before_loops,
    in_order,
    is_over_weights,
    negative,
    one_line,
    settings,
    spoken,
    usable,
    written,
)
from clipcheck.analysis.promises.selection import is_whole, selecting
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Kind
from clipcheck.analysis.steps import read_steps
from clipcheck.frameworks import GRADIENT_CLIPS
from clipcheck.model.code import Call, Code
from clipcheck.model.critics import GradientBound
from clipcheck.model.promises import Interval, Promise, Promised, Spot, When, Written
from clipcheck.model.steps import Action, Event, Occurrence, occurrences
from clipcheck.model.value import Constant, Many, Tensor

_METHODS = {"clip_grad_norm_": "norm", "clip_grad_value_": "value"}
_ARGUMENTS = {"clipvalue": "value", "global_clipnorm": "norm"}


class _Limits(Struct, frozen=True):
    """low, high: the bounds of each value; norm: that of the norm of all together."""

    low: Code | None = None
    high: Code | None = None
    norm: Code | None = None
    symmetric: bool = False
    """`high` is a bound on both sides."""

    @property
    def known(self) -> Interval:
        low, high, norm = (bound.number if bound is not None else None for bound in (self.low, self.high, self.norm))
        return Interval(-high if self.symmetric and high is not None else low, high, norm)

    @property
    def words(self) -> tuple[str, ...]:
        """The bounds as they are written, where their numbers are not known."""
        return tuple(bound.text for bound in (self.low, self.high, self.norm) if bound is not None and not bound.number)

    @property
    def is_sound(self) -> bool:
        """Whether it is a bound at all: an infinite one only measures, zero and below are mistakes of their own."""
        known = self.known
        return all(
            number is None or 0 < number < float("inf") for number in (known.high, known.norm) if self.high or self.norm
        )

    def written(self, reading: FileReading, place: cst.CSTNode) -> Written:
        plain = written(reading, self.low, self.high, place)
        norm = written(reading, None, self.norm, place).high
        if self.symmetric and plain.high is not None:
            return Written(negative(plain.high), plain.high, norm)
        return Written(plain.low, plain.high, norm)


def read_gradient_promises(reading: FileReading) -> Iterator[Promise]:
    """One promise for each clip that is there for an update of this file."""
    meant_for_weights = {fact.bound.at.node for fact in read_gradient_clipped_critics(reading)}
    yield from _of_steps(reading, meant_for_weights)
    bounds = list(read_gradient_bounds(reading))
    for bound in bounds:
        if bound.at.node not in meant_for_weights and _covers_all_trainings(reading, bound, bounds):
            yield from _of_keras(reading, bound)


def _of_steps(reading: FileReading, without: set[cst.CSTNode]) -> Iterator[Promise]:
    groups = occurrences(read_steps(reading), Action.CLIP_GRADIENTS)
    if not groups:
        return
    updates = [o for group in occurrences(read_steps(reading, without_clips=True), Action.STEP) for o in group]
    limits = {group[0].event.code: _limits(reading, group[0].event.code) for group in groups}
    for group in groups:
        code = group[0].event.code
        alike = [o for other in groups if _are_alike(limits[other[0].event.code], limits[code]) for o in other]
        is_there = all(o.graph.all(Action.STEP) for o in group)
        if code.node not in without and is_there and _covers_all_updates(group[0], alike, updates):
            yield from _of_step(reading, group[0])


def _are_alike(one: _Limits | None, other: _Limits | None) -> bool:
    """Whether two clips have the same bounds, as far as the file tells."""
    return one is not None and other is not None and (one.known, one.words) == (other.known, other.words)


def _covers_all_updates(clip: Occurrence, alike: list[Occurrence], updates: list[Occurrence]) -> bool:
    """Whether no update of the same weights is made elsewhere, with another clip or with none."""
    same = [update for update in updates if update.step.concerns(clip.event, update.event) is True]
    return all(any(_meet(update.event, other.event) for other in alike) for update in same)


def _meet(update: Event, clip: Event) -> bool:
    """Whether an update and a clip are parts of one step: they, or the calls that lead to them, stand in a function of
    their own, or one of them right where the step begins."""
    ours, theirs = ([code.function for code in event.chain] for event in (update, clip))
    inner = [function for function in ours[1:] if function in theirs[1:]]
    return bool(inner) or ((len(ours) == 1 or len(theirs) == 1) and ours[0] == theirs[0])


def _covers_all_trainings(reading: FileReading, bound: GradientBound, bounds: list[GradientBound]) -> bool:
    """Whether all that trains a Keras model bounds its gradients in this way."""
    own = set(reading.origins.of(bound.model.node))
    trainings = {t.at.node for t in reading.networks.trainings if own & set(reading.origins.of(t.model.node))}
    alike = {
        other.training.at.node
        for other in bounds
        if other.training is not None and other.by == bound.by and _same_limit(other, bound)
    }
    return trainings <= alike


def _same_limit(one: GradientBound, other: GradientBound) -> bool:
    if one.limit is None or other.limit is None:
        return False
    return (one.limit.number, one.limit.text) == (other.limit.number, other.limit.text)


def _of_step(reading: FileReading, occurrence: Occurrence) -> Iterator[Promise]:
    call = occurrence.event.code
    limits = _limits(reading, call)
    if not isinstance(call, Call) or limits is None or not limits.is_sound or is_occasional(reading, call.node):
        return
    owner = _owner(reading, call, occurrence, limits)
    place = before_loops(reading, call.node, owner)
    if owner is not None and usable(reading, owner, place):
        spot = Spot(reading.code(place), one_line(reading, owner), bounds=limits.written(reading, place))
        yield _promise(reading, call, owner, limits, (spot,))


def _promise(
    reading: FileReading, at: Code, owner: cst.CSTNode, limits: _Limits, spots: tuple[Spot, ...], when: When = When.CLIP
) -> Promise:
    runs_in = around(reading, at.node) if when is When.CLIP else ()
    return Promise(
        Promised.GRADIENTS, spoken(reading, owner), at, limits.known, when=when, spots=spots, runs_in=runs_in
    )


def _limits(reading: FileReading, call: Code) -> _Limits | None:
    if not isinstance(call, Call):
        return None
    api = GRADIENT_CLIPS.get(call.callee.api or "")
    by = _METHODS.get(call.method or "") if api is None else {"global norm": "norm"}.get(api.by, api.by)
    if call.method == "clip_gradients":
        return _of_fabric(call)
    if by is None:
        return _of_clamp(reading, call)
    kind = call.argument(2, "norm_type") if by == "norm" else None
    if kind is not None and kind.code.value not in (Constant(2), Constant(2.0)):
        return None
    first = call.argument(0, "parameters")
    is_own = first is not None and first.code.number is not None
    bound = first if is_own else call.argument(1, "max_norm", "clip_value", "max_grad_norm")
    if bound is None:
        return None
    return _Limits(norm=bound.code) if by == "norm" else _Limits(high=bound.code, symmetric=True)


def _of_fabric(call: Call) -> _Limits | None:
    """`fabric.clip_gradients(model, optimizer, max_norm=1.0)`."""
    norm, value = call.argument(None, "max_norm"), call.argument(None, "clip_val")
    if norm is not None:
        return _Limits(norm=norm.code)
    return _Limits(high=value.code, symmetric=True) if value is not None else None


def _of_clamp(reading: FileReading, call: Call) -> _Limits | None:
    """`p.grad.clamp_(-c, c)` for every parameter."""
    clip = next((clip for clip in read_clips(reading) if clip.call.node is call.node), None)
    if clip is None or (selecting(reading, call.node) and not _tests_gradient(reading, call.node)):
        return None
    low, high = in_order(clip.low.code if clip.low else None, clip.high.code if clip.high else None)
    return _Limits(low, high)


def _tests_gradient(reading: FileReading, node: cst.CSTNode) -> bool:
    """Whether all that is asked of a parameter is whether it has a gradient."""
    tests = [test for test in selecting(reading, node) if isinstance(test, cst.If)]
    texts = {re.sub(r"\w+", "p", reading.text(test.test), count=1) for test in tests}
    return len(tests) == len(selecting(reading, node)) and texts <= {"p.grad is not None", "p.grad"}


def _owner(reading: FileReading, call: Call, occurrence: Occurrence, limits: _Limits) -> cst.CSTNode | None:
    """Whose gradients are clipped: a model, or all that an optimizer updates."""
    target = clip_target(call) or _clamped(call)
    if target is None or target.number is not None or call.method == "clip_gradients":
        return _of_trainer(reading, call)
    if limits.norm is not None and _is_part(reading, target.node):
        return None
    if not isinstance(target.node, cst.BaseExpression) or not is_whole(reading, target.node):
        return None
    optimizer = group_owner(reading, target.node)
    if optimizer is not None:
        return optimizer
    models, _ = reading.networks.whose_parameters(target.node)
    if len(models) == 1:
        return models[0].node
    value = target.value
    if isinstance(value, Many):
        value = value.element
    if not models and isinstance(value, Tensor) and value.owner is not None:
        return value.owner.node
    return _optimizer(reading, occurrence)


def _clamped(call: Call) -> Code | None:
    """`p.grad` of `p.grad.data.clamp_(…)`."""
    if call.receiver is not None and call.callee.api is None:
        return call.receiver
    return call.arguments[0].code if call.arguments else None


def _is_part(reading: FileReading, node: cst.CSTNode) -> bool:
    """Whether a target is one parameter or one group of a loop, whose norm says nothing of all of them together."""
    value = reading.value(node)
    if isinstance(value, Tensor) and value.role == "parameter":
        return True
    while isinstance(node, (cst.Attribute, cst.Subscript)):
        node = node.value
    bindings = reading.flow.reaching(node) if isinstance(node, cst.Name) else []
    return any(
        binding.kind is Kind.LOOP
        and isinstance(binding.statement, cst.For)
        and is_over_weights(reading, binding.statement)
        for binding in bindings
    )


def _of_trainer(reading: FileReading, call: Call) -> cst.CSTNode | None:
    """The model of `model.clip_grad_norm_(1.0)`, which is sharded, and of `fabric.clip_gradients(model, …)`."""
    if call.method == "clip_gradients":
        return call.arguments[0].code.node if call.arguments else None
    return call.receiver.node if call.callee.api is None and call.receiver is not None else None


def _optimizer(reading: FileReading, occurrence: Occurrence) -> cst.CSTNode | None:
    """The optimizer that updates just what is clipped."""
    event = occurrence.event
    keys = {key for key, models in occurrence.step.owners.items() if event.models and models == event.models}
    for step in occurrence.graph.all(Action.STEP):
        code = step.code
        if step.optimizer in keys and isinstance(code, Call):
            is_scaled = step.scaler is not None and code.arguments
            found = code.arguments[0].code if is_scaled else code.receiver
            return found.node if found is not None else None
    return None


def _of_keras(reading: FileReading, bound: GradientBound) -> Iterator[Promise]:
    """Gradients that a tape's update is given clipped, and bounds that an optimizer is given."""
    if bound.limit is None or (bound.argument is None and bound.step is None):
        return
    if bound.argument is not None:
        by = _ARGUMENTS.get(bound.argument.keyword or "")
    else:
        api = GRADIENT_CLIPS.get(bound.call.callee.api or "")
        by = None if bound.step is not None and bound.step.method == "step" else "value" if api is None else api.by
        by = {"global norm": "norm", "norm": None}.get(by or "", by)
    if by is None:
        return
    limits = _Limits(norm=bound.limit) if by == "norm" else _Limits(high=bound.limit, symmetric=True)
    spots = tuple(_keras_spots(reading, bound, limits)) if limits.is_sound else ()
    if spots:
        yield _promise(reading, bound.at, bound.model.node, limits, spots, when=When.UPDATE)


def _keras_spots(reading: FileReading, bound: GradientBound, limits: _Limits) -> Iterator[Spot]:
    model, training = bound.model.node, bound.training
    if training is not None and training.at.method == "compile":
        place = training.at.statement
        if usable(reading, model, place.node):
            bounds = limits.written(reading, place.node)
            yield Spot(place, one_line(reading, model), after=True, bounds=bounds)
        return
    if bound.argument is None and graph_function(reading, bound.call.node) is None:
        place = bound.call.statement
        if usable(reading, model, place.node):
            yield Spot(place, one_line(reading, model), bounds=limits.written(reading, place.node))
            return
    for spot in settings(reading, model):
        yield replace(spot, bounds=limits.written(reading, spot.statement.node))
