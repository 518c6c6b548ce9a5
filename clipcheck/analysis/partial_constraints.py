"""Finds Keras critics that are constrained in part, and classes of constraints where objects belong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from clipcheck.analysis.clipping_constraints import read_clipping_constraints
from clipcheck.analysis.lipschitz import Lipschitz, is_weight_clip
from clipcheck.analysis.scopes import parameters
from clipcheck.frameworks.keras import CONSTRAINT_ARGUMENTS
from clipcheck.model.code import Argument, Call
from clipcheck.model.critics import ClippingConstraint, ConstraintClass, UnboundWeights
from clipcheck.model.networks import Network
from clipcheck.model.value import Reference

if TYPE_CHECKING:
    from clipcheck.analysis.reading import FileReading


def read_unbound_weights(reading: FileReading) -> Iterator[UnboundWeights]:
    """The critics that have clipping constraints, but not on all of their weights."""
    if not any(_is_constraint(arg) for arg in reading.tree.all(cst.Arg)):
        return
    lipschitz = reading.lipschitz
    if lipschitz.has_penalty or lipschitz.has_spectral_norm or lipschitz.is_reinforcement_learning:
        return
    clipping = {constraint.name: constraint for constraint in read_clipping_constraints(reading)}
    critics = reading.critics
    networks = [network for network in reading.networks.all if network.framework == "keras"]
    for network in networks:
        given = [argument for layer in network.layers for argument in layer.given]
        layers = tuple(layer for layer in network.layers if layer.unconstrained)
        if any(layer.owner.has_star for layer in network.layers):
            continue  # a constraint may be among what is not seen
        if not given or not layers or not critics.names_critic(critics.names_of(network)):
            continue
        if not all(_clips(argument, clipping, reading) for argument in given):
            continue
        evidence = critics.under_weight_clipping(network)
        if evidence is not None and not _is_clipped_by_hand(lipschitz, reading):
            yield UnboundWeights(network, given[0], layers, evidence)


def read_constraint_classes(reading: FileReading) -> Iterator[ConstraintClass]:
    """Constraint arguments that are given a class of this file."""
    if not any(_is_constraint(arg) for arg in reading.tree.all(cst.Arg)):
        return
    clipping = {constraint.name: constraint for constraint in read_clipping_constraints(reading)}
    if not clipping:
        return
    critics = reading.critics
    for node in reading.tree.all(cst.Arg):
        value = reading.value(node.value) if _is_constraint(node) else None
        if not isinstance(value, Reference) or not value.name.startswith("__main__."):
            continue
        constraint = clipping.get(value.name.removeprefix("__main__."))
        if constraint is not None and constraint.takes_bound:
            network = _network_with(node, reading)
            yield ConstraintClass(
                argument=Argument(node, reading),
                constraint=constraint,
                needed=_is_needed(constraint, reading),
                made=_made(constraint, reading),
                evidence=critics.under_weight_clipping(network) if network is not None else None,
            )


def _is_constraint(arg: cst.Arg) -> bool:
    return arg.keyword is not None and arg.keyword.value in CONSTRAINT_ARGUMENTS


def _clips(argument: Argument, clipping: dict[str, ClippingConstraint], reading: FileReading) -> bool:
    """Whether a constraint argument surely clips: an object of a class that does, of this file or by its name."""
    origins = reading.origins.of(argument.node.value)
    return bool(origins) and all(_is_clip(origin, clipping, reading) for origin in origins)


def _is_clip(origin: cst.CSTNode, clipping: dict[str, ClippingConstraint], reading: FileReading) -> bool:
    if isinstance(origin, cst.Lambda):
        return any("clip" in reading.text(call.func) for call in reading.calls_in(origin.body))
    maker = origin.func if isinstance(origin, cst.Call) else origin
    api = reading.api(maker) or ""
    if api.startswith("__main__."):
        return api.removeprefix("__main__.") in clipping
    return "clip" in api.rpartition(".")[2].lower()


def _is_clipped_by_hand(lipschitz: Lipschitz, reading: FileReading) -> bool:
    """Whether weights are clipped beside the constraints, outside of any constraint class."""
    return any(
        is_weight_clip(clip, reading) and clip.call.class_ is None
        for clip in lipschitz.clips
        if not isinstance(reading.parent(reading.parent(clip.call.node) or clip.call.node), cst.Lambda)
    )


def _network_with(node: cst.Arg, reading: FileReading) -> Network | None:
    call = reading.parent(node)
    for network in reading.networks.all:
        if any(layer.owner.node is call for layer in network.layers):
            return network
    return None


def _is_needed(constraint: ClippingConstraint, reading: FileReading) -> bool:
    assert isinstance(constraint.code.node, cst.ClassDef)
    init = reading.origins.method(constraint.code.node, "__init__")
    return init is not None and any(p.default is None and not p.star for p in list(parameters(init))[1:])


def _made(constraint: ClippingConstraint, reading: FileReading) -> Call | None:
    """A call that makes an object of the class."""
    for node in reading.tree.all(cst.Call):
        if reading.api(node.func) == f"__main__.{constraint.name}":
            return Call(node, reading)
    return None
