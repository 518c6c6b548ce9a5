"""Which function finds which kind of fact."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import libcst as cst

from clipcheck.analysis.bounds import read_clip_thresholds, read_compile_calls, read_optimizer_calls
from clipcheck.analysis.bypassed import read_bypassed
from clipcheck.analysis.clamped_losses import read_clamped_losses
from clipcheck.analysis.clip_targets import read_wrong_targets
from clipcheck.analysis.clipping_constraints import read_clipping_constraints
from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.comments import read_comments
from clipcheck.analysis.constraint_uses import read_constraints_as_layers, read_unapplied
from clipcheck.analysis.critics import read_gradient_clipped_critics
from clipcheck.analysis.custom_classes import read_custom_classes
from clipcheck.analysis.double_clips import read_double_clips
from clipcheck.analysis.elementwise import read_elementwise
from clipcheck.analysis.gradient_lists import read_clips_of_none, read_pairs_as_gradients, read_unused_clips
from clipcheck.analysis.graph_clips import read_graph_clips
from clipcheck.analysis.half_open import read_half_open
from clipcheck.analysis.hooks import read_in_place_hook_clips
from clipcheck.analysis.iterators import read_exhausted_iterators
from clipcheck.analysis.keras_version import is_keras_2_code
from clipcheck.analysis.late_settings import read_late_settings
from clipcheck.analysis.networks import read_networks
from clipcheck.analysis.one_sided import read_one_sided
from clipcheck.analysis.overrides import read_overrides
from clipcheck.analysis.partial_clips import read_partial_clips
from clipcheck.analysis.partial_constraints import read_constraint_classes, read_unbound_weights
from clipcheck.analysis.promises import read_promises, read_step_calls
from clipcheck.analysis.races import read_clip_races
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.rebindings import read_rebindings
from clipcheck.analysis.renamed import read_renamed
from clipcheck.analysis.saving import read_saved
from clipcheck.analysis.sessions import read_clip_sessions
from clipcheck.analysis.singularities import read_lost_epsilons, read_singularities
from clipcheck.analysis.steps import read_steps
from clipcheck.analysis.thresholds import read_detached, read_dividing, read_integers, read_mirrored
from clipcheck.analysis.uses import read_api_imports, read_uses
from clipcheck.analysis.weight_writes import read_weight_writes
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
from clipcheck.model.script import Script
from clipcheck.model.sessions import ClipRace, ClipSession
from clipcheck.model.singularities import LostEpsilon, Singularity
from clipcheck.model.slow_clips import ElementwiseClip, NumpyInGraph
from clipcheck.model.steps import TrainingStep
from clipcheck.model.targets import Targets
from clipcheck.model.thresholds import DetachedThreshold, DividingThreshold, IntegerParameter, MirroredThreshold
from clipcheck.model.trainers import BypassedClip
from clipcheck.model.uses import ApiImport, ApiUse
from clipcheck.model.weight_writes import WeightWrite

_READERS: dict[type, Callable[[FileReading], Iterable[Any]]] = {
    Call: lambda reading: (Call(node, reading) for node in reading.tree.all(cst.Call)),
    Comment: read_comments,
    CustomClass: read_custom_classes,
    ClippingConstraint: read_clipping_constraints,
    ConstraintClass: read_constraint_classes,
    GradientClippedCritic: read_gradient_clipped_critics,
    Network: read_networks,
    TrainingStep: read_steps,
    BypassedClip: read_bypassed,
    ClippedTwice: read_double_clips,
    ExhaustedIterator: read_exhausted_iterators,
    UnusedGradientClip: read_unused_clips,
    PairAsGradients: read_pairs_as_gradients,
    ClipOfNone: read_clips_of_none,
    MisdirectedClip: read_wrong_targets,
    SavedNetwork: read_saved,
    MisplacedConstraint: read_constraints_as_layers,
    UnappliedConstraint: read_unapplied,
    WeightWrite: read_weight_writes,
    PartialWeightClip: read_partial_clips,
    UnboundWeights: read_unbound_weights,
    ValueClip: read_clips,
    ElementwiseClip: read_elementwise,
    HalfOpenClip: read_half_open,
    ClampedLoss: read_clamped_losses,
    OneSidedClip: read_one_sided,
    NumpyInGraph: read_graph_clips,
    DetachedThreshold: read_detached,
    DividingThreshold: read_dividing,
    IntegerParameter: read_integers,
    MirroredThreshold: read_mirrored,
    LoopRebinding: read_rebindings,
    Singularity: read_singularities,
    LostEpsilon: read_lost_epsilons,
    ApiUse: read_uses,
    ApiImport: read_api_imports,
    RenamedArgument: read_renamed,
    OptimizerCall: read_optimizer_calls,
    ClipThreshold: read_clip_thresholds,
    CompileCall: read_compile_calls,
    LateSetting: read_late_settings,
    InPlaceHookClip: read_in_place_hook_clips,
    ClippingOverride: read_overrides,
    ClipSession: read_clip_sessions,
    ClipRace: read_clip_races,
    Promise: read_promises,
    StepCall: read_step_calls,
}


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
    readers = {kind: _bound(reader, reading) for kind, reader in _READERS.items()}
    readers[Targets] = lambda script: [Targets(target_keras, target_torch, is_keras_2_code(reading))]
    return Script(module, reading, readers, weight_clip_style)


def _bound(reader: Callable[[FileReading], Iterable[Any]], reading: FileReading) -> Callable[[Script], Iterable[Any]]:
    return lambda script: reader(reading)
