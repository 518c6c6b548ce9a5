"""What stands straight before and behind a clip of gradients, as far as CPython's syntax tree tells."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from clipcheck.frameworks import GRADIENT_CLIPS
from clipcheck.frameworks.names import last_names
from clipcheck.outline.outline import Outline, Site, last_name, walk
from clipcheck.outline.shapes import may_be_gradient, value_clips

CLIPS_OF_GRADIENTS = last_names(GRADIENT_CLIPS, {"clip_gradients"})
_IN_PLACE = frozenset(
    {*(name.rpartition(".")[2] for name, api in GRADIENT_CLIPS.items() if api.in_place), "clip_gradients"}
)
_BACKWARD = frozenset({"backward", "manual_backward"})
_UPDATES = frozenset({"step", "zero_grad"})
_UNSCALES = frozenset({"unscale_", "unscale_gradients"})
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


def gradient_clips(outline: Outline) -> tuple[Site, ...]:
    """The calls that may clip the gradients that parameters hold. Raises CannotTellError."""
    return outline.once(_gradient_clips)


def _gradient_clips(outline: Outline) -> tuple[Site, ...]:
    named = outline.calls(_IN_PLACE) if outline.has(rb"clip_") else ()
    if not outline.has(rb"clamp|clip") or not outline.has(rb"grad"):
        return named
    clips = (clip for clip in value_clips(outline) if clip.in_place and may_be_gradient(clip, outline))
    return (*named, *(clip.site for clip in clips))


def follows_backward(site: Site, outline: Outline) -> bool:
    """Whether a backward pass surely comes before it on some path, with no update or zeroing in between."""
    if outline.has(rb"def\s+(?:manual_)?backward\b"):
        return False
    for statement in _before(site):
        called = _called(statement)
        if called & _BACKWARD:
            return not called & _UPDATES
        if called & _UPDATES or _may_do_more(called, outline):
            return False
    return False


def is_unscaled(site: Site, outline: Outline) -> bool:
    """Whether the gradients of the only optimizer are unscaled between the backward pass before it and the clip."""
    if not has_one_optimizer(outline):
        return False
    for statement in _before(site):
        called = _called(statement)
        if called & _UNSCALES:
            return True
        if called & (_BACKWARD | _UPDATES) or _may_do_more(called, outline):
            return False
    return False


def precedes_step(site: Site, outline: Outline) -> bool:
    """Whether the only optimizer's update surely comes next."""
    if not has_one_optimizer(outline):
        return False
    for statement in _after(site):
        called = _called(statement)
        if isinstance(statement, ast.Expr) and _is_step(statement.value) and len(called) == 1:
            return True
        if called & (_BACKWARD | _UPDATES) or _may_do_more(called, outline):
            return False
        if any(isinstance(node, (ast.Return, ast.Continue, ast.Break, ast.Raise)) for node in walk(statement)):
            return False
    return False


def is_in_loop(site: Site) -> bool:
    """Whether a loop of the same function stands around it."""
    for above in site.above:
        if isinstance(above, _LOOPS):
            return True
        if isinstance(above, _DEFINITIONS):
            return False
    return False


def _is_step(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "step":
        return False
    return last_name(node.func.value) in ("optimizer", "optim", "opt", "scaler")


def has_one_optimizer(outline: Outline) -> bool:
    """Whether all steps are made on one optimizer (perhaps through a scaler), going by names."""
    stepped = outline.before(rb"\.\s*step\s*\(")
    return len({name for name in stepped if name not in _NO_OPTIMIZERS and "sched" not in name}) <= 1


_NO_OPTIMIZERS = frozenset("scaler env envs profiler prof lr_scheduler".split())


def _may_do_more(called: set[str], outline: Outline) -> bool:
    """Whether one of these functions is the file's own, so that its body runs here."""
    return not outline.defined.keys().isdisjoint(called)


def _called(statement: ast.stmt) -> set[str]:
    if isinstance(statement, _DEFINITIONS):
        return set()
    return {last_name(node.func) for node in walk(statement) if isinstance(node, ast.Call)}


def _before(site: Site) -> Iterator[ast.stmt]:
    """The statements before it, the nearest first, in its block and in those around it in the same function."""
    for block, place, _ in _places(site):
        yield from reversed(block[:place])


def _after(site: Site) -> Iterator[ast.stmt]:
    """The statements that surely run behind it, the nearest first."""
    for block, place, owner in _places(site):
        yield from block[place + 1 :]
        if isinstance(owner, (*_LOOPS, ast.Try)):
            calls = {last_name(n.func) for n in walk(owner) if isinstance(n, ast.Call)}
            if isinstance(owner, (ast.While, ast.Try)) or calls & (_BACKWARD | _UPDATES):
                return


def _places(site: Site) -> Iterator[tuple[list[ast.stmt], int, ast.AST]]:
    """The blocks that it stands in, from the inside out, up to the function: the block, the place, whose it is."""
    child: ast.AST = site.call
    for above in site.above:
        for block in (getattr(above, field, None) for field in ("body", "orelse", "finalbody")):
            if isinstance(block, list) and child in block:
                place = next(index for index, statement in enumerate(block) if statement is child)
                yield block, place, above
        if isinstance(above, _DEFINITIONS):
            return
        child = above
