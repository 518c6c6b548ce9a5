"""The course of a body of code: its events between the branches, loops and jumps that order them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from msgspec import Struct, field

from clipcheck.model.steps import Event


class Flag(Struct, frozen=True):
    """A test whose outcome is the same wherever its key stands."""

    key: str


class Not(Struct, frozen=True):
    test: Test


class Both(Struct, frozen=True):
    left: Test
    right: Test


class Either(Struct, frozen=True):
    left: Test
    right: Test


Test: TypeAlias = Flag | Not | Both | Either


class Emit(Struct, frozen=True):
    event: Event


class Sequence(Struct):
    items: list[Course] = field(default_factory=list)


class Choice(Struct, frozen=True):
    test: Test
    then: Sequence
    otherwise: Sequence


class Loop(Struct, frozen=True):
    """A loop; `endless` if only a jump leaves it, `is_sure` if it is taken to run at least once."""

    body: Sequence
    otherwise: Sequence
    endless: bool = False
    is_sure: bool = False


class Attempt(Struct, frozen=True):
    """A `try`: the handlers may take over after any part of the body."""

    body: Sequence
    handlers: tuple[Sequence, ...]
    otherwise: Sequence
    final: Sequence


class Inlined(Struct, frozen=True):
    """The body of a helper: `return` leads behind it."""

    body: Sequence


class Jump(Struct, frozen=True):
    """`continue`, `break`, `return` or `raise`."""

    kind: str


Course: TypeAlias = Emit | Sequence | Choice | Loop | Attempt | Inlined | Jump


def parts(course: Course) -> tuple[Sequence, ...]:
    """The sequences directly inside a course."""
    if isinstance(course, Choice):
        return (course.then, course.otherwise)
    if isinstance(course, Loop):
        return (course.body, course.otherwise)
    if isinstance(course, Attempt):
        return (course.body, *course.handlers, course.otherwise, course.final)
    if isinstance(course, Inlined):
        return (course.body,)
    return ()


def walk(course: Course) -> Iterator[Course]:
    """The course and everything in it."""
    yield course
    for item in course.items if isinstance(course, Sequence) else parts(course):
        yield from walk(item)


def matters(course: Course) -> bool:
    """Whether leaving a course out would change which events follow which."""
    return any(isinstance(inner, (Emit, Jump)) for inner in walk(course))


def keys(test: Test) -> Iterator[str]:
    """The keys of the flags that a test is made of."""
    if isinstance(test, Flag):
        yield test.key
    elif isinstance(test, Not):
        yield from keys(test.test)
    else:
        yield from keys(test.left)
        yield from keys(test.right)


def outcome(test: Test, world: Mapping[str, bool]) -> bool | None:
    """What a test comes to in a world; None if the world leaves it open."""
    if isinstance(test, Flag):
        return world.get(test.key)
    if isinstance(test, Not):
        inner = outcome(test.test, world)
        return None if inner is None else not inner
    left, right = outcome(test.left, world), outcome(test.right, world)
    decisive = isinstance(test, Either)
    if left is decisive or right is decisive:
        return decisive
    return None if left is None or right is None else not decisive
