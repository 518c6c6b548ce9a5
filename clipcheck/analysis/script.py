"""Which function finds which kind of fact."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from typing import Any

import libcst as cst

from clipcheck.analysis.keras_version import is_keras_2_code
from clipcheck.analysis.reading import FileReading
from clipcheck.model.bounds import ClipThreshold, CompileCall, LateSetting, OptimizerCall
from clipcheck.model.classes import CustomClass
from clipcheck.model.clips import HalfOpenClip, OneSidedClip, ValueClip
from clipcheck.model.code import Call
from clipcheck.model.comments import Comment
from clipcheck.model.constraint_uses import MisplacedConstraint, UnappliedConstraint
from clipcheck.model.critics import (
    ClippingConstraint,
    ConstraintClass,
    GradientClippedCritic,
    PartialWeightClip,
    UnboundWeights,
)
from clipcheck.model.gradients import (
    ClipOfNone,
    ClippedTwice,
    ExhaustedIterator,
    MisdirectedClip,
    PairAsGradients,
    UnusedGradientClip,
)
from clipcheck.model.hooks import InPlaceHookClip
from clipcheck.model.losses import ClampedLoss
from clipcheck.model.networks import Network
from clipcheck.model.overrides import ClippingOverride
from clipcheck.model.promises import Promise, StepCall
from clipcheck.model.rebindings import LoopRebinding
from clipcheck.model.renamed import RenamedArgument
from clipcheck.model.saving import SavedNetwork
from clipcheck.model.script import Reader, Script
from clipcheck.model.sessions import ClipRace, ClipSession
from clipcheck.model.singularities import LostEpsilon, Singularity
from clipcheck.model.slow_clips import ElementwiseClip, NumpyInGraph
from clipcheck.model.steps import TrainingStep
from clipcheck.model.targets import Targets
from clipcheck.model.thresholds import DetachedThreshold, DividingThreshold, IntegerParameter, MirroredThreshold
from clipcheck.model.trainers import BypassedClip
from clipcheck.model.uses import ApiImport, ApiUse
from clipcheck.model.weight_writes import WeightWrite

_READERS: dict[type, str] = {
    Comment: "comments.read_comments",
    CustomClass: "custom_classes.read_custom_classes",
    ClippingConstraint: "clipping_constraints.read_clipping_constraints",
    ConstraintClass: "partial_constraints.read_constraint_classes",
    GradientClippedCritic: "critics.read_gradient_clipped_critics",
    Network: "networks.read_networks",
    TrainingStep: "steps.read_steps",
    BypassedClip: "bypassed.read_bypassed",
    ClippedTwice: "double_clips.read_double_clips",
    ExhaustedIterator: "iterators.read_exhausted_iterators",
    UnusedGradientClip: "gradient_lists.read_unused_clips",
    PairAsGradients: "gradient_lists.read_pairs_as_gradients",
    ClipOfNone: "gradient_lists.read_clips_of_none",
    MisdirectedClip: "clip_targets.read_wrong_targets",
    SavedNetwork: "saving.read_saved",
    MisplacedConstraint: "constraint_uses.read_constraints_as_layers",
    UnappliedConstraint: "constraint_uses.read_unapplied",
    WeightWrite: "weight_writes.read_weight_writes",
    PartialWeightClip: "partial_clips.read_partial_clips",
    UnboundWeights: "partial_constraints.read_unbound_weights",
    ValueClip: "clips.read_clips",
    ElementwiseClip: "elementwise.read_elementwise",
    HalfOpenClip: "half_open.read_half_open",
    ClampedLoss: "clamped_losses.read_clamped_losses",
    OneSidedClip: "one_sided.read_one_sided",
    NumpyInGraph: "graph_clips.read_graph_clips",
    DetachedThreshold: "thresholds.read_detached",
    DividingThreshold: "thresholds.read_dividing",
    IntegerParameter: "thresholds.read_integers",
    MirroredThreshold: "thresholds.read_mirrored",
    LoopRebinding: "rebindings.read_rebindings",
    Singularity: "singularities.read_singularities",
    LostEpsilon: "singularities.read_lost_epsilons",
    ApiUse: "uses.read_uses",
    ApiImport: "uses.read_api_imports",
    RenamedArgument: "renamed.read_renamed",
    OptimizerCall: "bounds.read_optimizer_calls",
    ClipThreshold: "bounds.read_clip_thresholds",
    CompileCall: "bounds.read_compile_calls",
    LateSetting: "late_settings.read_late_settings",
    InPlaceHookClip: "hooks.read_in_place_hook_clips",
    ClippingOverride: "overrides.read_overrides",
    ClipSession: "sessions.read_clip_sessions",
    ClipRace: "races.read_clip_races",
    Promise: "promises.read_promises",
    StepCall: "promises.read_step_calls",
}
"""Modules of this package with the function in them, imported for the files that need them: most need few."""


def read(
    module: cst.Module,
    *,
    target_keras: str | None = None,
    target_torch: str | None = None,
    weight_clip_style: str = "constraint",
    cell_lines: tuple[int, ...] = (),
) -> Script:
    """The facts of one module. Each kind of fact is read when a rule first asks for it.

    `cell_lines` are the lines on which the cells of a notebook begin: the last expression of a cell is shown.
    """
    reading = FileReading(module, cell_lines)
    readers = {kind: _bound(where, reading) for kind, where in _READERS.items()}
    readers[Call] = lambda script: (Call(node, reading) for node in reading.tree.all(cst.Call))
    readers[Targets] = lambda script: [Targets(target_keras, target_torch, is_keras_2_code(reading))]
    return Script(module, reading, readers, weight_clip_style)


def _bound(where: str, reading: FileReading) -> Reader:
    return lambda script: _reader(where)(reading)


@cache
def _reader(where: str) -> Callable[[FileReading], Iterable[Any]]:
    module, _, function = where.rpartition(".")
    reader: Callable[[FileReading], Iterable[Any]] = getattr(import_module(f"clipcheck.analysis.{module}"), function)
    return reader
