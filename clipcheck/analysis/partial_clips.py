"""Finds clips by hand of only some of a critic's weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from clipcheck.analysis.lipschitz import is_weight_clip
from clipcheck.analysis.module_weights import read_module_clips
from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Call, Code
from clipcheck.model.critics import Evidence, PartialWeightClip
from clipcheck.model.networks import Network

if TYPE_CHECKING:
    from clipcheck.analysis.critics import Critics
    from clipcheck.analysis.reading import FileReading


def read_partial_clips(reading: FileReading) -> Iterator[PartialWeightClip]:
    """Clips of some weights of a critic, where the others are known to be left out."""
    lipschitz = reading.lipschitz
    clips = [clip for clip in lipschitz.clips if is_weight_clip(clip, reading)]
    if not clips or lipschitz.has_penalty or lipschitz.has_spectral_norm or lipschitz.is_reinforcement_learning:
        return
    critics = reading.critics
    evidence = critics.under_weight_clipping(None)
    if evidence is None:
        return
    yield from _of_variables(clips, evidence, reading)
    yield from _of_layers(clips, critics, evidence, reading)
    yield from read_module_clips(clips, critics, evidence, reading)


def _of_variables(
    clips: list[ValueClip], evidence: tuple[Evidence, ...], reading: FileReading
) -> Iterator[PartialWeightClip]:
    """TF1: `W.assign(tf.clip_by_value(W, -c, c))` for some variables of a `var_list`; `clip_op[0]` of several."""
    assigned = [(clip, target) for clip in clips if (target := _assigned_variable(clip)) is not None]
    if not assigned:
        return
    listed = [_iterated(clip, target, reading) for clip, target in assigned]
    if any(names is None for names in listed):
        return  # a loop over variables that cannot be counted
    bounded = {name for names in listed for name in names or ()}
    for training in reading.tree.all(cst.Call):
        call = Call(training, reading)
        variables = call.argument(None, "var_list") if call.method in ("minimize", "compute_gradients") else None
        trained = _names_in(variables.node.value, reading) if variables is not None else None
        if not trained or not bounded & set(trained):
            continue
        missing = [name for name in trained if name not in bounded]
        if missing:
            yield _incomplete(assigned, missing, trained, evidence, reading)
        else:
            yield from _first_only(assigned, trained, evidence, reading)


def _assigned_variable(clip: ValueClip) -> Call | None:
    """The call `v.assign(clip(v, …))` around a clip."""
    for above in (clip.call.reading.parent(clip.call.node),):
        node = above
        while isinstance(node, (cst.Arg,)):
            node = clip.call.reading.parent(node)
        if isinstance(node, cst.Call):
            call = Call(node, clip.call.reading)
            if call.method == "assign" and call.receiver is not None and call.receiver.text == clip.subject.text:
                return call
    return None


def _iterated(clip: ValueClip, assign: Call, reading: FileReading) -> list[str] | None:
    """The names of the variables that a clip is for: its own, or those of the list that it is made for."""
    above = reading.parent(assign.node)
    if isinstance(above, (cst.ListComp, cst.GeneratorExp)):
        return _names_in(above.for_in.iter, reading)
    if isinstance(clip.subject.node, cst.Name):
        origins = reading.origins.of(clip.subject.node)
        if len(origins) == 1 and isinstance(origins[0], cst.Call):
            return [clip.subject.text]
    return None


def _names_in(node: cst.BaseExpression, reading: FileReading) -> list[str] | None:
    """The names in a list display."""
    display = reading.origins.only(node)
    if not isinstance(display, (cst.List, cst.Tuple)):
        return None
    names = [element.value.value for element in display.elements if isinstance(element.value, cst.Name)]
    return names if len(names) == len(display.elements) else None


def _incomplete(
    assigned: list[tuple[ValueClip, Call]],
    missing: list[str],
    trained: list[str],
    evidence: tuple[Evidence, ...],
    reading: FileReading,
) -> PartialWeightClip:
    clip, assign = assigned[-1]
    rewritten: tuple[tuple[Code, str], ...] = ()
    if isinstance(clip.subject.node, cst.Name) and assign.assigned_to is not None:
        old = clip.subject.text
        new = [assign.text.replace(old, name) for name in missing]
        tf = clip.call.receiver  # `tf`, however it is called
        if assign.text.count(old) == 2 and tf is not None:
            rewritten = ((assign, f"{tf.text}.group({', '.join([assign.text, *new])})"),)
    bounded = [name for name in trained if name not in missing]
    return PartialWeightClip(
        at=assigned[0][1],
        model=None,
        bounded=" and ".join(f"`{name}`" for name in bounded),
        left_out=" and ".join(f"`{name}`" for name in missing),
        evidence=evidence,
        rewritten=rewritten,
    )


def _first_only(
    assigned: list[tuple[ValueClip, Call]], trained: list[str], evidence: tuple[Evidence, ...], reading: FileReading
) -> Iterator[PartialWeightClip]:
    """`clip_ops[0]`, where the file never asks for the others."""
    for _, assign in assigned:
        made = reading.parent(assign.node)
        target = reading.code(made).assigned_to if isinstance(made, cst.ListComp) else None
        if target is None or len(trained) < 2 or not isinstance(target.node, cst.Name):
            continue
        name = target.node.value
        uses = [node for node in reading.tree.all(cst.Name) if node.value == name and node is not target.node]
        subscripts = [reading.parent(use) for use in uses]
        constant = [node for node in subscripts if isinstance(node, cst.Subscript) and _is_number(node)]
        if uses and len(constant) == len(uses) and len({reading.text(node) for node in constant}) < len(trained):
            yield PartialWeightClip(
                at=reading.code(constant[0]),
                model=None,
                bounded=f"`{trained[0]}`" if len(constant) == 1 else "one or two",
                left_out=" and ".join(f"`{other}`" for other in trained[1:]),
                evidence=evidence,
                rewritten=tuple((reading.code(node), name) for node in constant[:1]) if len(constant) == 1 else (),
            )


def _is_number(node: cst.Subscript) -> bool:
    index = node.slice[0].slice
    return len(node.slice) == 1 and isinstance(index, cst.Index) and isinstance(index.value, cst.Integer)


def _of_layers(
    clips: list[ValueClip], critics: Critics, evidence: tuple[Evidence, ...], reading: FileReading
) -> Iterator[PartialWeightClip]:
    """`critic.layers[0].set_weights([np.clip(w, -c, c) …])` in a file that clips no other layer."""
    found = []
    for clip in clips:
        layer = _indexed_layer(clip, reading)
        if layer is None:
            return
        found.append(layer)
    indices = {reading.text(layer) for layer in found}
    models = {reading.text(layer.value.value) for layer in found if isinstance(layer.value, cst.Attribute)}
    if not found or len(models) != 1:
        return
    attribute = found[0].value
    assert isinstance(attribute, cst.Attribute)
    model = reading.code(attribute.value)
    network = model.network
    if network is None or not network.is_complete or not critics.is_critic(model):
        return
    if len([layer for layer in network.layers if layer.owns_weights]) > len(indices):
        yield PartialWeightClip(
            at=reading.code(found[0]),
            model=model.text,
            bounded=" and ".join(sorted(f"`{text}`" for text in indices)),
            left_out="its other layers",
            evidence=evidence,
            rewritten=_for_all_layers(clips, found, model, network, reading),
        )


def _for_all_layers(
    clips: list[ValueClip], layers: list[cst.Subscript], model: Code, network: Network, reading: FileReading
) -> tuple[tuple[Code, str], ...]:
    """The one statement with the model in place of its layer; not where that would clip moving statistics as well."""
    if len(clips) != 1 or network.has_moving_statistics:
        return ()
    statement = next(a for a in reading.tree.ancestors(layers[0]) if isinstance(a, cst.SimpleStatementLine))
    text = reading.text(layers[0])
    same = [n for n in reading.tree.below(statement) if isinstance(n, cst.Subscript) and reading.text(n) == text]
    if len(same) != 2:
        return ()  # the weights come from elsewhere
    return tuple((reading.code(node), model.text) for node in same)


def _indexed_layer(clip: ValueClip, reading: FileReading) -> cst.Subscript | None:
    """The `model.layers[0]` that a clip's result is set on, or its weights are taken from."""
    for above in reading.tree.ancestors(clip.call.node):
        if isinstance(above, cst.SimpleStatementLine):
            for node in reading.tree.below(above):
                if (
                    isinstance(node, cst.Subscript)
                    and isinstance(node.value, cst.Attribute)
                    and node.value.attr.value == "layers"
                    and _is_number(node)
                ):
                    return node
            return None
    return None
