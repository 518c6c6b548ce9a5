"""Weights that Keras keeps within bounds: by constraints, of classes and functions of the file, and by `NonNeg`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst
from msgspec import Struct, field
from msgspec.structs import replace

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.constraint_uses import read_unapplied
from clipcheck.analysis.partial_constraints import read_unbound_weights
from clipcheck.analysis.promises.places import in_order, is_plain, named, one_line, spoken, stated, usable, written
from clipcheck.analysis.reading import FileReading
from clipcheck.frameworks.tensorflow import VARIABLES
from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Argument, Call, Code
from clipcheck.model.critics import UnboundWeights
from clipcheck.model.networks import Network
from clipcheck.model.promises import Interval, Promise, Promised, Spot, When, Written
from clipcheck.model.value import Constant, Instance, Reference

_NON_NEGATIVE = frozenset({"keras.constraints.NonNeg", "keras.constraints.non_neg", "keras.constraints.nonneg"})
_WEIGHTS = {f"{name}_constraint": name for name in ("kernel", "bias", "gamma", "beta", "embeddings", "alpha")}
_FUNCTION = "function"
"""The class of every constraint that is a plain function."""


class _Rule(Struct, frozen=True):
    """What a constraint keeps: the bounds as numbers, as code where it stands, and over the constraint object.

    name: its class. at: the code that says it.
    """

    name: str
    at: Code
    known: Interval
    low: Code | None = None
    high: Code | None = None
    by_object: Written = field(default_factory=Written)


def read_constraint_promises(reading: FileReading) -> Iterator[Promise]:
    if not _speaks_of_constraints(reading):
        return
    rules = {rule.name: rule for rule in _classes(reading)}
    unbound = {fact.network.made: fact for fact in read_unbound_weights(reading)}
    given = [(argument, rule) for argument in _given(reading) if (rule := _rule(reading, argument.code, rules))]
    for fact in unbound.values():
        rule = _rule(reading, fact.given.code, rules)
        if rule is not None:
            yield _of_all(reading, fact, rule)
    yield from _of_networks(reading, [(argument, rule) for argument, rule in given if rule.name], set(unbound))
    yield from _of_variables(reading, rules)
    yield from _set_late(reading, rules)


def _speaks_of_constraints(reading: FileReading) -> bool:
    return (
        any(arg.keyword is not None and arg.keyword.value.endswith("constraint") for arg in reading.tree.all(cst.Arg))
        or any(reading.classes.kind(class_) == "constraint" for class_ in reading.tree.all(cst.ClassDef))
        or any(node.attr.value.endswith("_constraint") for node in reading.tree.all(cst.Attribute))
    )


def _given(reading: FileReading) -> Iterator[Argument]:
    """Every constraint that is handed to a layer or to `add_weight`."""
    for arg in reading.tree.all(cst.Arg):
        if arg.keyword is not None and re.search(r"(^|_)constraint$", arg.keyword.value):
            call = reading.parent(arg)
            if not isinstance(call, cst.Call) or reading.api(call.func) not in VARIABLES:
                yield Argument(arg, reading)


def _classes(reading: FileReading) -> Iterator[_Rule]:
    """The constraint classes of the file that clip, whatever their method is called."""
    clips = list(read_clips(reading))
    for class_ in reading.tree.all(cst.ClassDef):
        if reading.classes.kind(class_) != "constraint":
            continue
        own = [clip for clip in clips if reading.class_of(clip.call.node) is class_]
        if len(own) == 1:
            rule = _clipping(reading, own[0], class_.name.value)
            if rule is not None:
                yield rule


def _clipping(reading: FileReading, clip: ValueClip, name: str) -> _Rule | None:
    low, high = in_order(clip.low.code if clip.low else None, clip.high.code if clip.high else None)
    texts = [over_self(reading, bound) for bound in (low, high)]
    numbers = [stated(bound) for bound in (low, high)]
    for bound, text, number in zip((low, high), texts, numbers, strict=True):
        if bound is not None and text is None and number is None:
            return None
    # What the script states counts, also where an object that was saved and loaded has forgotten it.
    by_object = Written(*(None if number is not None else text for text, number in zip(texts, numbers, strict=True)))
    return _Rule(name, clip.call, Interval(*numbers), low, high, by_object)


def over_self(reading: FileReading, bound: Code | None) -> str | None:
    """A bound as an expression over the object in one of whose methods it stands, which is called `self`."""
    if bound is None or not is_plain(bound.node):
        return None
    below = list(reading.tree.below(bound.node))
    attributes = [node.attr for node in below if isinstance(node, cst.Attribute)]
    names = [node for node in below if isinstance(node, cst.Name) and node not in attributes]
    if not names or any(reading.scopes.class_of_self(name) is None for name in names):
        return None
    return re.sub(rf"\b{re.escape(names[0].value)}\.", "self.", one_line(reading, bound.node))


def _rule(reading: FileReading, given: Code, rules: dict[str, _Rule]) -> _Rule | None:
    """What a constraint argument keeps; None where that is not known, or is no clip."""
    value = given.value
    if isinstance(value, Instance):
        if value.of in _NON_NEGATIVE:
            return _Rule("NonNeg", given, Interval(low=0.0))
        return rules.get(value.of) if value.local else None
    if isinstance(value, Constant) and str(value.value).lower().replace("_", "") == "nonneg":
        return _Rule("NonNeg", given, Interval(low=0.0))
    if isinstance(value, Reference) and value.name.removeprefix("__main__.") in rules:
        return rules[value.name.removeprefix("__main__.")]
    if isinstance(given, Call) and given.callee.api in _NON_NEGATIVE:
        return _Rule("NonNeg", given, Interval(low=0.0))
    return _function(reading, given)


def _function(reading: FileReading, given: Code) -> _Rule | None:
    """A lambda or a function of this file that clips its argument."""
    origin = reading.origins.only(given.node)
    if not isinstance(origin, (cst.Lambda, cst.FunctionDef)):
        return None
    inside = set(reading.tree.below(origin.body))
    clips = [clip for clip in read_clips(reading) if clip.call.node in inside]
    if len(clips) != 1:
        return None
    low, high = in_order(*(bound.code if bound else None for bound in (clips[0].low, clips[0].high)))
    return _Rule(_FUNCTION, clips[0].call, Interval(stated(low), stated(high)), low, high)


def _of_all(reading: FileReading, fact: UnboundWeights, rule: _Rule) -> Promise:
    """All weights of a critic, where the file shows that all are meant to be constrained."""
    network = fact.network
    low, high = _at_making(fact.given, rule)
    compiled = [
        Spot(t.at.statement, one_line(reading, t.model.node), after=True)
        for t in network.trainings
        if is_plain(t.model.node) and t.at.method == "compile"
    ]
    spots = tuple(
        replace(spot, bounds=written(reading, low, high, spot.statement.node))
        for spot in (*compiled, *named(reading, network))
    )
    return Promise(Promised.WEIGHTS, network.spoken_name, fact.given, rule.known, when=When.UPDATE, spots=spots)


def _at_making(given: Argument, rule: _Rule) -> tuple[Code | None, Code | None]:
    """The bounds as they stand where a constraint is given: those of a lambda."""
    return (rule.low, rule.high) if rule.name == _FUNCTION else (None, None)


def _of_networks(reading: FileReading, given: list[tuple[Argument, _Rule]], without: set[Code]) -> Iterator[Promise]:
    """One promise for each model and each class of its constraints."""
    owners = _owners(reading)
    found: dict[tuple[str, Code | None], tuple[Argument, _Rule]] = {}
    functions = {(rule.known, rule.low is None, rule.high is None) for _, rule in given if rule.name == _FUNCTION}
    for argument, rule in given:
        is_unclear = rule.name == _FUNCTION and (len(functions) > 1 or rule.known == Interval())
        network = owners.get(argument.node)
        if not is_unclear and (network is None or network.made not in without):
            found.setdefault((rule.name, network.made if network is not None else None), (argument, rule))
    networks = {network.made: network for network in owners.values()}
    for (name, made), (argument, rule) in found.items():
        network = networks[made] if made is not None else None
        others = [other for other_name, other in found if other_name == name and other != made]
        yield Promise(
            Promised.WEIGHTS,
            network.spoken_name if network is not None else _around(reading, argument),
            argument,
            rule.known,
            when=When.UPDATE,
            spots=tuple(named(reading, network)) if network is not None and others else (),
            made_by=name,
            by_object=rule.by_object,
        )


def _around(reading: FileReading, argument: Argument) -> str:
    """What to call weights whose model is not known: by the class that they are in, or the function, or the layer."""
    holder = argument.class_ or argument.function
    call = reading.parent(argument.node)
    layer = one_line(reading, call.func) if isinstance(call, cst.Call) else "the model"
    return (holder.defines if holder is not None else None) or layer


def _owners(reading: FileReading) -> dict[cst.CSTNode, Network]:
    """For each constraint argument the smallest model whose layer has it."""
    owners: dict[cst.CSTNode, Network] = {}
    keras = [network for network in reading.networks.all if network.framework == "keras"]
    for network in sorted(keras, key=lambda network: len(network.layers)):
        for layer in network.layers:
            for argument in layer.given:
                owners.setdefault(argument.node, network)
    return owners


def _of_variables(reading: FileReading, rules: dict[str, _Rule]) -> Iterator[Promise]:
    """`w = tf.Variable(…, constraint=…)`."""
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        given = call.argument(None, "constraint") if call.callee.api in VARIABLES else None
        rule = _rule(reading, given.code, rules) if given is not None else None
        target = call.assigned_to
        if given is None or rule is None or target is None or not is_plain(target.node):
            continue
        spot = Spot(call.statement, one_line(reading, target.node), after=True)
        spot = replace(spot, bounds=written(reading, *_at_making(given, rule), call.statement.node))
        yield Promise(
            Promised.WEIGHTS, target.text, given, rule.known, when=When.UPDATE, spots=(spot,), as_clipped=True
        )


def _set_late(reading: FileReading, rules: dict[str, _Rule]) -> Iterator[Promise]:
    """`layer.kernel_constraint = …` on a layer that is built: what it would keep if anything applied it."""
    for fact in read_unapplied(reading):
        assign = fact.at.node
        target = assign.targets[0].target if isinstance(assign, cst.Assign) else None
        if fact.way != "late" or not isinstance(assign, cst.Assign) or not isinstance(target, cst.Attribute):
            continue
        rule = _rule(reading, reading.code(assign.value), rules)
        weight = _WEIGHTS.get(target.attr.value)
        if rule is None or weight is None or rule.known == Interval() or not usable(reading, target.value, assign):
            continue
        layer = one_line(reading, target.value)
        spot = Spot(fact.at, f"{layer}.{weight}", after=True)
        name = f"{spoken(reading, target.value)}.{weight}"
        yield Promise(Promised.WEIGHTS, name, fact.at, rule.known, when=When.UPDATE, spots=(spot,), as_clipped=True)
