"""Layers and modules that say that they clip what they return."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.promises.constraints import over_self
from clipcheck.analysis.promises.places import in_order
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Binding, Kind, parameters
from clipcheck.model.clips import ValueClip
from clipcheck.model.promises import Interval, Promise, Promised, Spot, When, Written

_KINDS = {"module": "forward", "layer": "call"}
_CLIPS = re.compile(r"clip(s|ped|ping)?(?![a-z])|bounded(?![a-z])", re.IGNORECASE)
_OTHER = re.compile(
    r"grad|weight|loss|optim|norm|regular|constraint|param|image|video|audio|contrastive|encoder|text|critic|ppo",
    re.IGNORECASE,
)
_THRESHOLD = re.compile(
    r"^_?(threshold|theta|thresh|limit|bound|clip|alpha|max|(clip|max|clipping|clip_max|upper)_?(value|val|bound|limit|"
    r"threshold|theta|alpha))$",
    re.IGNORECASE,
)
_SQUASHING = frozenset("tanh hardtanh clamp clip clip_by_value softplus minimum maximum softsign sigmoid erf".split())


def read_output_promises(reading: FileReading) -> Iterator[Promise]:
    """One promise for each class whose name or docstring says that it clips, where it has just one threshold."""
    for class_ in reading.tree.all(cst.ClassDef):
        method = _KINDS.get(reading.classes.kind(class_) or "")
        function = reading.origins.method(class_, method) if method is not None else None
        if function is None or not _says_so(class_) or not _squashes(reading, function):
            continue
        bounds = _bounds(reading, class_, function)
        if bounds is not None:
            yield Promise(
                Promised.OUTPUTS,
                class_.name.value,
                reading.code(class_),
                Interval(),
                when=When.UPDATE,
                spots=tuple(_in_forward(reading, function, bounds)) if method == "forward" else (),
                made_by=class_.name.value,
                by_object=bounds,
                runs_in=(class_.name.value,),
            )


def _in_forward(reading: FileReading, function: cst.FunctionDef, bounds: Written) -> Iterator[Spot]:
    """Where a torch module begins to work out what it returns."""
    own = next(iter(parameters(function)), None)
    lines = [line for line in function.body.body if not _is_text(line)]
    if own is None or own.name.value != "self" or not lines:
        return
    first = lines[0].body[0] if isinstance(lines[0], cst.SimpleStatementLine) else lines[0]
    yield Spot(reading.code(first), "self", bounds=bounds)


def _is_text(line: cst.CSTNode) -> bool:
    """Whether a line is a docstring."""
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) else line
    return isinstance(small, cst.Expr) and isinstance(small.value, (cst.SimpleString, cst.ConcatenatedString))


def _says_so(class_: cst.ClassDef) -> bool:
    """Whether a class says that it clips activations: by its name, or by the first sentence of its docstring."""
    name, text = class_.name.value, (class_.get_docstring() or "").partition("\n\n")[0].partition(".")[0]
    if _OTHER.search(name) or name == "CLIP" or _OTHER.search(text):
        return False
    return _CLIPS.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)) is not None or _CLIPS.search(text) is not None


def _squashes(reading: FileReading, function: cst.FunctionDef) -> bool:
    """Whether what a method returns is made by something that bounds, or is meant to."""
    return any(_last(call.func) in _SQUASHING for call in reading.calls_in(function.body))


def _last(node: cst.CSTNode) -> str:
    if isinstance(node, cst.Attribute):
        return node.attr.value.rstrip("_")
    return node.value if isinstance(node, cst.Name) else ""


def _bounds(reading: FileReading, class_: cst.ClassDef, function: cst.FunctionDef) -> Written | None:
    """The bounds of the one clip whose result is returned; else those from minus the threshold to the threshold."""
    clips = [clip for clip in read_clips(reading) if reading.function(clip.call.node) is function]
    if clips:
        returned = [clip for clip in clips if _is_returned(reading, clip, function)]
        return _of_clip(reading, returned[0]) if len(clips) == len(returned) == 1 else None
    names = [name for name in reading.scopes.attributes.get(class_, {}) if _THRESHOLD.match(name)]
    if len(names) != 1 or not _is_number(reading, class_, names[0]):
        return None
    return Written(f"-self.{names[0]}", f"self.{names[0]}")


def _is_returned(reading: FileReading, clip: ValueClip, function: cst.FunctionDef) -> bool:
    """Whether a clip is all that the method returns."""
    values = reading.origins.returns(function)
    return len(values) == 1 and reading.origins.only(values[0]) is clip.call.node


def _of_clip(reading: FileReading, clip: ValueClip) -> Written | None:
    low, high = in_order(clip.low.code if clip.low else None, clip.high.code if clip.high else None)
    texts = [over_self(reading, bound) for bound in (low, high)]
    for index, bound in enumerate((low, high)):
        if bound is not None and texts[index] is None:
            if bound.number is None:
                return None
            texts[index] = repr(bound.number)
    return Written(*texts) if any(texts) else None


def _is_number(reading: FileReading, class_: cst.ClassDef, name: str) -> bool:
    """Whether an attribute is made of one number: a parameter of `__init__`, a number, or a learnable of no shape."""
    bindings = reading.values.attribute_bindings(class_, name)
    return len(bindings) == 1 and _may_be_number(reading, bindings[0])


def _may_be_number(reading: FileReading, binding: Binding) -> bool:
    value = binding.value
    if binding.kind is not Kind.ASSIGN or value is None or binding.path:
        return False
    if isinstance(value, (cst.Name, cst.Float, cst.Integer)):
        return True
    if not isinstance(value, cst.Call):
        return False
    text = " ".join(reading.text(value).split())
    if _last(value.func) == "add_weight":
        return "shape" not in text or re.search(r"shape=(\(\)|\(1,\)|\[1\])", text) is not None
    if _last(value.func) in ("Parameter", "float", "abs"):
        return (
            re.search(r"ones|zeros|full|rand|empty|\[\d*\w+, ", text) is None
            or re.search(r"\((1|\(1,\)),?", text) is not None
        )
    return False
