"""Keras optimizers of the file that clip the weights which they have updated."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst
from msgspec.structs import replace

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.custom_classes import framework_bases
from clipcheck.analysis.promises.constraints import over_self
from clipcheck.analysis.promises.places import in_order, is_plain, one_line, spoken, stated
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import parameters
from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Code
from clipcheck.model.networks import Training
from clipcheck.model.promises import Interval, Promise, Promised, Spot, When, Written
from clipcheck.model.value import Tensor


def read_optimizer_promises(reading: FileReading) -> Iterator[Promise]:
    """One promise for each model that such an optimizer trains; else one for the optimizer."""
    for class_ in reading.tree.all(cst.ClassDef):
        if reading.classes.kind(class_) != "optimizer" or not _is_keras(reading, class_):
            continue
        clips = [clip for clip in read_clips(reading) if reading.class_of(clip.call.node) is class_]
        clips = [clip for clip in clips if _is_assigned(reading, clip)]
        if len(clips) == 1:
            yield from _promises(reading, class_, clips[0])


def _is_keras(reading: FileReading, class_: cst.ClassDef) -> bool:
    return any(base.startswith(("keras.", "tensorflow.")) for base in framework_bases(reading, class_))


def _is_assigned(reading: FileReading, clip: ValueClip) -> bool:
    """`variable.assign(clip(variable, …))`."""
    value = clip.subject.value
    if isinstance(value, Tensor) and value.role == "gradient":
        return False
    above = reading.parent(reading.parent(clip.call.node) or clip.call.node)
    if not isinstance(above, cst.Call) or not isinstance(above.func, cst.Attribute):
        return False
    return above.func.attr.value == "assign" and reading.text(above.func.value) == clip.subject.text


def _promises(reading: FileReading, class_: cst.ClassDef, clip: ValueClip) -> Iterator[Promise]:
    low, high = in_order(clip.low.code if clip.low else None, clip.high.code if clip.high else None)
    known = Interval(*(_number(bound) for bound in (low, high)))
    over = Written(*(over_self(reading, bound) if stated(bound) is None else None for bound in (low, high)))
    if any(
        bound is not None and number is None and text is None
        for bound, number, text in ((low, known.low, over.low), (high, known.high, over.high))
    ):
        return
    promise = Promise(Promised.WEIGHTS, class_.name.value, clip.call, known, When.USE, runs_in=(class_.name.value,))
    trainings = [training for training in reading.networks.trainings if _has(reading, training, class_)]
    spots: dict[str, list[Spot]] = {}
    for training in trainings:
        if is_plain(training.model.node) and training.at.method == "compile":
            model = one_line(reading, training.model.node)
            spot = Spot(training.at.statement, model, after=True, bounds=_of(over, f"{model}.optimizer"))
            spots.setdefault(spoken(reading, training.model.node), []).append(spot)
    for name, found in spots.items():
        yield replace(promise, subject=name, spots=tuple(found))
    if not spots:
        made = _made(reading, class_)
        if made is not None:
            yield replace(promise, spots=(replace(made, bounds=over),))


def _number(bound: Code | None) -> float | None:
    if bound is None:
        return None
    number = stated(bound)
    return number if number is not None else bound.number


def _of(over: Written, optimizer: str) -> Written:
    return Written(*(text.replace("self.", f"{optimizer}.") if text else None for text in (over.low, over.high)))


def _has(reading: FileReading, training: Training, class_: cst.ClassDef) -> bool:
    """Whether the optimizer of a training is made of the class, in whatever way."""
    code = training.optimizer_code
    if code is None:
        return False
    made = (code.node, *reading.origins.of(code.node))
    return any(
        isinstance(node, cst.Name) and node.value == class_.name.value
        for each in made
        for node in reading.tree.below(each)
    )


def _made(reading: FileReading, class_: cst.ClassDef) -> Spot | None:
    """The end of the class's own `__init__`."""
    init = next(
        (f for f in class_.body.body if isinstance(f, cst.FunctionDef) and f.name.value == "__init__"),
        None,
    )
    if init is None or not isinstance(init.body, cst.IndentedBlock):
        return None
    last = init.body.body[-1]
    own = next(iter(parameters(init)), None)
    if own is None or own.name.value != "self":
        return None
    statement = last.body[-1] if isinstance(last, cst.SimpleStatementLine) else last
    return Spot(reading.code(statement), "self", after=True)
