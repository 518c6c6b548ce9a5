"""Finds clamps of only some parameters of a torch critic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst
from msgspec import Struct

from clipcheck.frameworks.torch import PARAMETERS
from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Code
from clipcheck.model.critics import Evidence, PartialWeightClip
from clipcheck.model.networks import Network, NetworkLayer
from clipcheck.model.value import Constant

if TYPE_CHECKING:
    from clipcheck.analysis.critics import Critics
    from clipcheck.analysis.reading import FileReading

_SAME = frozenset({"data"})


class _Member(Struct, frozen=True):
    """`critic.fc1.weight`: the model, its part, and the parameter."""

    clip: ValueClip
    model: Code
    network: Network
    part: str
    parameter: str


def read_module_clips(
    clips: list[ValueClip], critics: Critics, evidence: tuple[Evidence, ...], reading: FileReading
) -> Iterator[PartialWeightClip]:
    """Clamps of single parameters, and of the parameters whose name says "weight"."""
    members = [_member(clip, reading) for clip in clips]
    known = [member for member in members if member is not None]
    if known and len(known) == len(clips):
        yield from _of_members(known, critics, evidence, reading)
    for clip in clips:
        yield from _of_weights_only(clip, clips, critics, evidence, reading)


def _of_members(
    members: list[_Member], critics: Critics, evidence: tuple[Evidence, ...], reading: FileReading
) -> Iterator[PartialWeightClip]:
    model, network = members[0].model, members[0].network
    if any(member.model.text != model.text or member.network.made != network.made for member in members):
        return
    if not network.is_complete or not critics.names_critic({model.text} | critics.names_of(network)):
        return
    owned = _owned(network, reading)
    if owned is None:
        return
    clamped = {f"{member.part}.{member.parameter}" for member in members}
    missing = [name for name in owned if name not in clamped]
    if not missing or not clamped <= set(owned):
        return
    statements = [_bare(member.clip, reading) for member in members]
    texts = {(_text(m.clip.low), _text(m.clip.high)) for m in members}
    rewritten: tuple[tuple[Code, str], ...] = ()
    superfluous: tuple[Code, ...] = ()
    if len(texts) == 1 and all(statements) and len({reading.parent(s.node) for s in statements if s}) == 1:
        first, *others = [statement for statement in statements if statement is not None]
        low, high = texts.pop()
        rewritten = ((first, _loop(model, low, high, first)),)
        superfluous = tuple(others)
    yield PartialWeightClip(
        at=members[0].clip.call,
        model=model.text,
        bounded=" and ".join(f"`{name}`" for name in sorted(clamped)),
        left_out=_shortened(missing),
        evidence=evidence,
        rewritten=rewritten,
        superfluous=superfluous,
    )


def _shortened(names: list[str]) -> str:
    return " and ".join(f"`{name}`" for name in names) if len(names) < 4 else f"its {len(names)} other parameters"


def _text(bound: object) -> str:
    code = getattr(bound, "code", None)
    return code.text if isinstance(code, Code) else ""


def _loop(model: Code, low: str, high: str, at: Code) -> str:
    no_grad = at.spell("torch.no_grad").text
    p = at.free_name("p", "param", "weight")
    return f"with {no_grad}():\n    for {p} in {model.text}.parameters():\n        {p}.clamp_({low}, {high})"


def _bare(clip: ValueClip, reading: FileReading) -> Code | None:
    """The line of a clamp that stands alone."""
    line = reading.parent(reading.parent(clip.call.node) or clip.call.node)
    if clip.call.is_bare_statement and isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1:
        return reading.code(line)
    return None


def _member(clip: ValueClip, reading: FileReading) -> _Member | None:
    node = clip.subject.node
    while isinstance(node, cst.Attribute) and node.attr.value in _SAME:
        node = node.value
    if not isinstance(node, cst.Attribute) or node.attr.value not in ("weight", "bias"):
        return None
    part = node.value
    if isinstance(part, cst.Attribute):
        model, name = reading.code(part.value), part.attr.value
    elif isinstance(part, cst.Subscript) and len(part.slice) == 1:
        index = part.slice[0].slice
        value = reading.value(index.value) if isinstance(index, cst.Index) else None
        if not isinstance(value, Constant):
            return None
        model, name = reading.code(part.value), str(value.value)
    else:
        return None
    network = model.network
    if network is None or network.framework != "torch":
        return None
    return _Member(clip, model, network, name, node.attr.value)


def _owned(network: Network, reading: FileReading) -> list[str] | None:
    """The parameters of a module, as `part.parameter`; None where a layer stands in no attribute of its own."""
    found: list[str] = []
    for layer in network.layers:
        parameters = _parameters(layer)
        if not parameters:
            continue
        part = _part(layer, network, reading)
        if part is None:
            return None
        found.extend(f"{part}.{parameter}" for parameter in parameters)
    return found


def _parameters(layer: NetworkLayer) -> tuple[str, ...]:
    names = PARAMETERS.get(layer.api, ())
    for switch in ("bias", "affine", "elementwise_affine"):
        argument = layer.call.argument(None, switch)
        if argument is not None and argument.code.value == Constant(False):
            names = tuple(name for name in names if switch == "bias" and name != "bias")
    return names


def _part(layer: NetworkLayer, network: Network, reading: FileReading) -> str | None:
    """The attribute, or the index in a sequence, under which a module has a layer."""
    target = layer.call.assigned_to
    if target is not None and isinstance(target.node, cst.Attribute):
        return target.node.attr.value
    argument = reading.parent(layer.call.node)
    if isinstance(network.made.node, cst.Call) and isinstance(argument, cst.Arg):
        for index, given in enumerate(network.made.node.args):
            if given is argument:
                return str(index)
    return None


def _of_weights_only(
    clip: ValueClip, clips: list[ValueClip], critics: Critics, evidence: tuple[Evidence, ...], reading: FileReading
) -> Iterator[PartialWeightClip]:
    """`for name, p in critic.named_parameters(): if "weight" in name: p.data.clamp_(-c, c)`."""
    guard = next((a for a in reading.tree.ancestors(clip.call.node) if isinstance(a, cst.If)), None)
    statement = _bare(clip, reading)
    if guard is None or guard.orelse is not None or statement is None or len(clips) != 1:
        return
    if not isinstance(guard.body, cst.IndentedBlock) or list(guard.body.body) != [statement.node]:
        return
    loop = reading.parent(reading.parent(guard) or guard)
    if not isinstance(loop, cst.For) or not isinstance(loop.target, cst.Tuple) or not _selects_weights(guard, reading):
        return
    if not isinstance(loop.iter, cst.Call) or not isinstance(loop.iter.func, cst.Attribute):
        return
    model = reading.code(loop.iter.func.value)
    if loop.iter.func.attr.value != "named_parameters" or not critics.is_critic(model):
        return
    yield PartialWeightClip(
        at=clip.call,
        model=model.text,
        bounded="what is called a weight",
        left_out="its biases",
        evidence=evidence,
        rewritten=((reading.code(guard), clip.call.text),),
    )


def _selects_weights(guard: cst.If, reading: FileReading) -> bool:
    test = reading.text(guard.test).replace("'", '"')
    return test.startswith(('"weight" in ', '"bias" not in '))
