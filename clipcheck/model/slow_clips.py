"""Clips that leave the vectorised path: element by element in Python, or through NumPy inside a graph."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Code


class ElementwiseClip(Struct, frozen=True):
    """A loop of Python that clips one element of an array or tensor after the other.

    code: the loop. array: what is walked through; None where anything may be (`np.vectorize(f)`). library: its kind.
    element: how an element is clipped, as written. low, high: the bounds (None: that side is not bounded).
    replaced: the expression or statement that one vectorised clip could stand for, where that is certain.
    in_place: the loop writes into the array itself. detaches: it also cut the gradient.
    comment: what the first line of a loop that is to be replaced ends with.
    """

    code: Code
    array: Code | None
    library: str
    element: Code
    low: Code | None
    high: Code | None
    replaced: Code | None = None
    in_place: bool = False
    detaches: bool = False
    comment: str = ""


class NumpyInGraph(Struct, frozen=True):
    """A clip that takes a tensor to NumPy inside code that a framework traces or differentiates.

    tensor: the tensor. place: which code that is, in words ("the loss `focal`"). framework: whose tensor functions
    are at home there: "keras", "tensorflow" or "torch". replaced: what a clip of the framework could stand for, where
    that is certain. detached: the code cuts the gradient explicitly, and hands the result back to the network.
    eager: the file asks for eager execution, in which the line does not raise.
    """

    clip: ValueClip
    tensor: Code
    place: str
    framework: str
    replaced: Code | None
    detached: bool
    eager: bool
