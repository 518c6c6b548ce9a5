"""Finds the clips that go past the trainer that owns the gradients."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.steps import read_steps
from clipcheck.analysis.trainers import bases_of, is_trainer, made_by, trainer_of
from clipcheck.frameworks import trainers
from clipcheck.frameworks.trainers import Trainer
from clipcheck.model.code import Argument, Call, Code
from clipcheck.model.steps import Action, Event, Occurrence, occurrences
from clipcheck.model.trainers import BypassedClip
from clipcheck.model.value import Constant, Many, Tensor

_NORMS = frozenset({"torch.nn.utils.clip_grad_norm_", "torch.nn.utils.clip_grad_norm"})
_VALUES = frozenset({"torch.nn.utils.clip_grad_value_"})
_OWN_ARGUMENTS = frozenset({"parameters", "max_norm", "norm_type", "clip_value"})


def read_bypassed(reading: FileReading) -> Iterator[BypassedClip]:
    for clips in occurrences(read_steps(reading), Action.CLIP_GRADIENTS):
        call = clips[0].event.code
        if isinstance(call, Call) and call.callee.api in _NORMS | _VALUES and not clips[0].event.bounds_nothing:
            found = _sharded(reading, call) or _owned(reading, call, clips) or _automatic(reading, call, clips)
            if found is not None:
                yield found


def _owned(reading: FileReading, call: Call, clips: list[Occurrence]) -> BypassedClip | None:
    """A clip of gradients that a trainer's backward pass has left."""
    told: list[tuple[Call, Trainer]] = []
    for clip in clips:
        before = clip.previous(Action.BACKWARD, Action.UNSCALE, Action.UNKNOWN, Action.STEP, Action.ZERO_GRAD)
        if any(event.action is Action.UNSCALE for event in before):
            return None
        owners = [owner for event in before if (owner := _owner(reading, event)) is not None]
        if owners and len(owners) == len(before):
            told.append(owners[0])
    if not told:
        return None
    backward, trainer = told[0]
    if trainer is trainers.FABRIC:
        if "deepspeed" in _strategy(reading, backward):
            return BypassedClip(call, trainers.DEEPSPEED.name, backward)
        if not _scales_or_shards(reading, backward, call):
            return None
    if trainer is trainers.DEEPSPEED and _leaves_gradients(reading, backward):
        return None
    instead = _instead(reading, call, backward, trainer, clips) if len(told) == len(clips) else ()
    return BypassedClip(call, trainer.name, backward, instead)


def _owner(reading: FileReading, event: Event) -> tuple[Call, Trainer] | None:
    """The trainer that runs a backward pass, or makes the update."""
    call = event.code
    if not isinstance(call, Call) or call.receiver is None or event.trainer is None:
        return None
    trainer = trainer_of(reading, call.receiver.node)
    return (call, trainer) if trainer is not None and trainer is not trainers.FSDP else None


def _makers(reading: FileReading, backward: Call) -> list[Call]:
    """The calls that make the trainer that runs a backward pass."""
    made = made_by(reading, backward.receiver.node) if backward.receiver is not None else []
    return [Call(node, reading) for node in made]


def _strategy(reading: FileReading, backward: Call) -> str:
    """What a Fabric is told of how to share out the work."""
    given = [call.argument(None, "strategy") for call in _makers(reading, backward)]
    return " ".join(strategy.text.lower() for strategy in given if strategy is not None)


def _scales_or_shards(reading: FileReading, backward: Call, clip: Call) -> bool:
    """Whether a Fabric is made so that a clip sees other gradients than there are. By value, a shard will do."""
    given = [call.argument(None, "precision") for call in _makers(reading, backward)]
    if any(precision is not None and str(_constant(precision)) in trainers.HALF_PRECISION for precision in given):
        return True
    return "fsdp" in _strategy(reading, backward) and clip.callee.api in _NORMS


def _leaves_gradients(reading: FileReading, backward: Call) -> bool:
    """Whether an engine's configuration stands in the file, and has nothing that moves the gradients elsewhere."""
    makers = _makers(reading, backward)
    given = [call.argument(None, "config", "config_params") for call in makers]
    configs = [o for argument in given if argument is not None for o in reading.origins.of(argument.node.value)]
    keys = [element.key if isinstance(element, cst.DictElement) else None for c in configs for element in _entries(c)]
    names = {key.evaluated_value if isinstance(key, cst.SimpleString) else None for key in keys}
    return bool(makers and names) and None not in names and not names & trainers.DEEPSPEED_SETTINGS


def _entries(node: cst.CSTNode) -> list[cst.BaseDictElement | None]:
    """The entries of a dict display; one that is not known for anything else."""
    return list(node.elements) if isinstance(node, cst.Dict) else [None]


def _constant(argument: Argument) -> object:
    value = argument.code.value
    return value.value if isinstance(value, Constant) else None


def _instead(
    reading: FileReading, call: Call, backward: Call, trainer: Trainer, clips: list[Occurrence]
) -> tuple[tuple[Code, str], ...]:
    own = trainer.norm if call.callee.api in _NORMS else trainer.value
    receiver = backward.receiver
    if own is None or receiver is None or not _has_own_arguments(call):
        return ()
    if not receiver.means_same_at(call) and not _is_attribute_of_both(receiver, call):
        return ()
    if trainer is trainers.ACCELERATE:
        return () if _is_inherited(reading, receiver.node) else ((call.callee, f"{receiver.text}.{own}"),)
    return _fabric_clip(call, receiver, clips)


def _is_attribute_of_both(receiver: Code, call: Call) -> bool:
    """Whether something is an attribute of the object whose methods both places stand in."""
    owner, _, name = receiver.text.partition(".")
    both = receiver.class_ is not None and receiver.class_ == call.class_
    return both and owner == "self" and name.isidentifier()


def _is_inherited(reading: FileReading, node: cst.CSTNode) -> bool:
    """Whether a trainer belongs to a base class of another file, which clips for itself."""
    class_ = reading.origins.class_of(node.value) if isinstance(node, cst.Attribute) else None
    if class_ is None or not isinstance(node, cst.Attribute):
        return False
    return not reading.values.attribute_bindings(class_, node.attr.value) and any(bases_of(reading, class_))


def _fabric_clip(call: Call, fabric: Code, clips: list[Occurrence]) -> tuple[tuple[Code, str], ...]:
    """`fabric.clip_gradients(model, optimizer, max_norm=1.0)`."""
    owner = _model(call)
    steps = {event.code for clip in clips for event in clip.next(Action.STEP)}
    if owner is None or len(steps) != 1:
        return ()
    step = steps.pop()
    optimizer = step.receiver if isinstance(step, Call) else None
    bound = call.argument(1, "max_norm", "clip_value")
    norm_type = call.argument(2, "norm_type")
    if optimizer is None or bound is None or not optimizer.means_same_at(call):
        return ()
    keyword = "max_norm" if call.callee.api in _NORMS else "clip_val"
    kind = f", norm_type={norm_type.code.text}" if norm_type is not None else ""
    text = f"{fabric.text}.clip_gradients({owner.text}, {optimizer.text}, {keyword}={bound.code.text}{kind})"
    return ((call, text),)


def _has_own_arguments(call: Call) -> bool:
    """Whether a call gives nothing that the trainer's own clip does not take."""
    if call.has_star or len([a for a in call.arguments if a.keyword is None]) > 3:
        return False
    return all(argument.keyword is None or argument.keyword in _OWN_ARGUMENTS for argument in call.arguments)


def _model(call: Call) -> Code | None:
    """The model whose parameters are clipped, all of them."""
    given = call.argument(0, "parameters")
    if given is None or not isinstance(given.code, Call) or given.code.method != "parameters":
        return None
    value = given.code.value
    return value.element.owner if isinstance(value, Many) and isinstance(value.element, Tensor) else None


def _sharded(reading: FileReading, call: Call) -> BypassedClip | None:
    """A norm of the gradients of a model that FSDP has wrapped: of the shards of one process."""
    model = _model(call)
    if model is None or call.callee.api not in _NORMS or not is_trainer(reading, model.node, trainers.FSDP):
        return None
    made = [Call(each, reading) for each in made_by(reading, model.node)]
    if any("NO_SHARD" in each.text for each in made):
        return None
    instead: tuple[tuple[Code, str], ...] = ()
    if _has_own_arguments(call) and call.arguments[0].keyword is None:
        rest = ", ".join(argument.text for argument in call.arguments[1:])
        instead = ((call, f"{model.text}.clip_grad_norm_({rest})"),)
    return BypassedClip(call, trainers.FSDP.name, made[0], instead)


def _automatic(reading: FileReading, call: Call, clips: list[Occurrence]) -> BypassedClip | None:
    """A clip in a `training_step` after which Lightning runs the backward pass."""
    for clip in clips:
        body = clip.step.code.node
        class_ = reading.class_of(body)
        if not isinstance(body, cst.FunctionDef) or body.name.value != "training_step" or class_ is None:
            return None
        bases = set(bases_of(reading, class_))
        if not bases or not bases <= trainers.LIGHTNING_MODULES | {"torch.nn.Module"} or _is_manual(reading):
            return None
        if not bases & trainers.LIGHTNING_MODULES:
            return None
        if any(clip.graph.all(action) for action in (Action.BACKWARD, Action.STEP, Action.UNKNOWN)):
            return None
        return BypassedClip(call, "Lightning", reading.code(body.name))
    return None


def _is_manual(reading: FileReading) -> bool:
    """Whether the file speaks of manual optimization at all."""
    names = {name.value for name in reading.tree.all(cst.Name)}
    return bool(names & {"automatic_optimization", "manual_backward"})
