"""What is known of a value that may be one of several, that is iterated, unpacked or operated on."""

from __future__ import annotations

from collections.abc import Iterable

from clipcheck.model.value import UNKNOWN, Constant, Instance, Items, Many, Pair, Tensor, Value


def join(values: Iterable[Value]) -> Value:
    """What is known of something that may be any of these."""
    result: Value | None = None
    for value in values:
        result = value if result is None or result == value else _joined(result, value)
    return UNKNOWN if result is None else result


def _joined(one: Value, other: Value) -> Value:
    if isinstance(one, Constant) and isinstance(other, Constant) and one.value == other.value:
        return Constant(one.value, one.assumed or other.assumed)
    if isinstance(one, Tensor) and isinstance(other, Tensor) and one.library == other.library:
        return Tensor(
            one.library,
            one.role if one.role == other.role else "data",
            one.owner if one.owner == other.owner else None,
            one.dtype if one.dtype == other.dtype else None,
            one.detached and other.detached,
        )
    if isinstance(one, Many) and isinstance(other, Many):
        return Many(join([one.element, other.element]), one.one_shot or other.one_shot)
    if isinstance(one, Instance) and isinstance(other, Instance) and one.of == other.of:
        return one
    return UNKNOWN


def assumed(value: Value) -> Value:
    """The same value as one that a caller may override."""
    return Constant(value.value, assumed=True) if isinstance(value, Constant) else value


def element(many: Value) -> Value:
    """What iterating over a value gives."""
    if isinstance(many, Many):
        return many.element
    if isinstance(many, Items):
        return join(code.value for code in many.elements)
    if isinstance(many, Tensor):
        return many
    return UNKNOWN


def unpack(value: Value, path: tuple[int, ...]) -> Value:
    """The part of a value that a place in a tuple target gets."""
    for index in path:
        if isinstance(value, Pair):
            value = (value.first, value.second)[index] if index < 2 else UNKNOWN
        elif isinstance(value, Items):
            value = value.elements[index].value if index < len(value.elements) else UNKNOWN
        else:
            value = element(value)
    return value


def operated(left: Value, right: Value) -> Value:
    """The result of arithmetic on two values, one of which may be a tensor."""
    if isinstance(left, Tensor) and isinstance(right, Tensor) and left.library != right.library:
        libraries = {left.library, right.library} - {"numpy"}
        return Tensor(libraries.pop()) if len(libraries) == 1 else UNKNOWN
    for one in (left, right):
        if isinstance(one, Tensor):
            return Tensor(one.library, dtype=one.dtype)
    return UNKNOWN
