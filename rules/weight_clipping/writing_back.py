"""What takes the place of clips that carry the weights out of a model and back. No rule by itself."""

from __future__ import annotations

import re

from clipcheck.edit import Edit, Fix, NeedImport, Remove, Replace, unsafe
from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Code, Spelling
from clipcheck.model.script import Script
from clipcheck.model.weight_writes import Rewriting, WeightWrite

_ASSIGN = """\
for {w} in {owner}.{weights}:
    {w}.assign({clip}({w}, {low}, {high}))
"""

_ASSIGN_BY_NAME = """\
for {w} in {owner}.weights:
    if "moving_" not in {w}.name:
        {w}.assign({clip}({w}, {low}, {high}))
"""

_CLAMP = """\
with {no_grad}():
    for {p} in {owner}.parameters():
        {p}.clamp_({low}, {high})
"""

_OUT_OF_MODEL = re.compile(r"(\.data|\.detach\(\)|\.cpu\(\)|\.numpy\(\))+$")


def in_place(write: WeightWrite, script: Script) -> Fix | None:
    """Clip the weights where they are, and only those that are trained, if the code can be rewritten for certain."""
    clip = write.clip
    if clip.low is None or clip.high is None or script.targets.saves_like_keras_2:
        return None
    if write.way == "host" and write.rewriting is not None:
        return _assigned(write, write.rewriting)
    if write.way == "reload" and write.rewriting is not None:
        return _clamped(write, write.rewriting)
    if write.way == "numpy":
        return _stored(write)
    return _over_parameters(write) if write.way == "direct" else None


def _assigned(write: WeightWrite, rewriting: Rewriting) -> Fix | None:
    """`for w in critic.trainable_weights: w.assign(…)`; by name where a frozen model calls none of them trainable."""
    clip = write.clip
    spelled = _keras_clip(write, rewriting.replaced)
    if spelled is None or clip.low is None or clip.high is None:
        return None
    layout = _ASSIGN_BY_NAME if write.frozen and write.hits_statistics else _ASSIGN
    code = layout.format(
        w=rewriting.replaced.free_name(rewriting.element, "w", "weight"),
        owner=rewriting.owner,
        weights="weights" if write.frozen else "trainable_weights",
        clip=spelled.text,
        low=clip.low.code.text,
        high=clip.high.code.text,
    )
    return unsafe(f"Clip the weights of `{write.name}` where they are", *_edits(rewriting, code, spelled))


def _clamped(write: WeightWrite, rewriting: Rewriting) -> Fix | None:
    clip = write.clip
    if clip.low is None or clip.high is None:
        return None
    no_grad = rewriting.replaced.spell("torch.no_grad")
    code = _CLAMP.format(
        no_grad=no_grad.text,
        p=rewriting.replaced.free_name("p", "param", "weight"),
        owner=rewriting.owner,
        low=clip.low.code.text,
        high=clip.high.code.text,
    )
    return unsafe(f"Clamp the parameters of `{write.name}` where they are", *_edits(rewriting, code, no_grad))


def _stored(write: WeightWrite) -> Fix | None:
    """One parameter that goes through NumPy: `p.data.clamp_(…)`, or `w.assign(ops.clip(w, …))`."""
    clip = write.clip
    name = _OUT_OF_MODEL.sub("", clip.subject.text)
    if clip.low is None or clip.high is None or not name.replace(".", "").isidentifier():
        return None
    bounds = f"{clip.low.code.text}, {clip.high.code.text}"
    if write.keras is None:
        code = f"{name}.data.clamp_({bounds})"
        return unsafe(f"Write `{code}`", Replace(write.written.statement.node, code))
    spelled = _keras_clip(write, clip.call)
    if spelled is None:
        return None
    code = f"{spelled.text}({name}, {bounds})"
    return unsafe(f"Write `{code}`", Replace(clip.call.node, code), *_imports(spelled))


def _over_parameters(write: WeightWrite) -> Fix | None:
    """Go through what is trained, instead of everything that the model holds."""
    text = write.source.text
    message = f"Clip only what is trained in `{write.name}`"
    for everything, trained in (("weights", "trainable_weights"), ("variables", "trainable_variables")):
        if text == f"{write.model.text}.{everything}" and not write.frozen:
            return unsafe(message, Replace(write.source.node, f"{write.model.text}.{trained}"))
    for everything, trained in (("values", "parameters"), ("items", "named_parameters")):
        if text == f"{write.model.text}.state_dict().{everything}()":
            tensor = _tensor(write.clip)
            data = () if tensor is None else (Replace(tensor.node, f"{tensor.text}.data"),)
            return unsafe(message, Replace(write.source.node, f"{write.model.text}.{trained}()"), *data)
    return None


def _tensor(clip: ValueClip) -> Code | None:
    """What is changed in place, unless that is `.data` already."""
    return None if clip.subject.text.endswith(".data") else clip.subject


def _keras_clip(write: WeightWrite, at: Code) -> Spelling | None:
    """How the file would write a clip of a tensor."""
    if write.clip.library != "numpy":
        return Spelling(write.clip.call.callee.text)
    if write.keras == "keras":
        return at.spell("keras.ops.clip")
    if write.keras == "tensorflow.keras":
        by_value, backend = at.spell("tensorflow.clip_by_value"), at.spell("tensorflow.keras.backend.clip")
        return by_value if not by_value.imports else backend
    return None


def _edits(rewriting: Rewriting, code: str, spelled: Spelling) -> list[Edit]:
    removed = [Remove(statement.node) for statement in rewriting.removed]
    return [*removed, Replace(rewriting.replaced.node, code.rstrip()), *_imports(spelled)]


def _imports(spelled: Spelling) -> list[Edit]:
    return [NeedImport(module, name) for module, name in spelled.imports]
