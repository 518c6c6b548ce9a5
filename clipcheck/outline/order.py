"""What stands straight before and behind a clip of gradients, as far as CPython's syntax tree tells."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from clipcheck.frameworks import GRADIENT_CLIPS
from clipcheck.frameworks.names import last_names
from clipcheck.frameworks.tensorflow import GRADIENT_METHODS, GRADIENTS, UNSCALING, WHOLE_STEPS
from clipcheck.outline.outline import Outline, Site, last_name, walk
from clipcheck.outline.shapes import may_be_gradient, value_clips
from clipcheck.outline.steps import called_below, called_in_steps, callers, stepped

CLIPS_OF_GRADIENTS = last_names(GRADIENT_CLIPS, {"clip_gradients"})
_IN_PLACE = frozenset(
    {*(name.rpartition(".")[2] for name, api in GRADIENT_CLIPS.items() if api.in_place), "clip_gradients"}
)
_RETURNING = frozenset(name.rpartition(".")[2] for name, api in GRADIENT_CLIPS.items() if not api.in_place)
_BACKWARD = frozenset({"backward", "manual_backward"})
_UPDATES = frozenset({"step", "zero_grad"})
_TF = rb"tensorflow|keras"
_HIDES = rb"deepspeed|\bdef\s+optimizer_step\b"
"""Where a step may also zero the gradients, or run the backward pass."""
_UNSCALES = frozenset({"unscale_", "unscale_gradients", *UNSCALING})
_ACTIONS = {"zero": frozenset({"zero_grad"}), "backward": _BACKWARD, "step": frozenset({"step"})}
_TF_ACTIONS = {
    "backward": WHOLE_STEPS | {"minimize"} | last_names(GRADIENT_METHODS, GRADIENTS),
    "step": WHOLE_STEPS | {"apply_gradients", "apply", "minimize"},
}
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


def returning_clips(outline: Outline) -> tuple[Site, ...]:
    """The calls that may clip gradients that are values, and return others. Raises CannotTellError."""
    return outline.once(_returning_clips)


def _returning_clips(outline: Outline) -> tuple[Site, ...]:
    clips = (clip for clip in value_clips(outline) if not clip.in_place and may_be_gradient(clip, outline))
    return (*outline.calls(_RETURNING), *(clip.site for clip in clips))


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
    if not has_one_optimizer(outline) or len(outline.before(_SCALED)) > 1:
        return False
    for statement in _before(site):
        called = _called(statement)
        if called & _UNSCALES:
            return True
        if called & _changing(outline) or _may_do_more(called, outline):
            return False
    return False


_SCALED = rb"\.\s*get_(?:un)?scaled_\w+\s*\("


def precedes_step(site: Site, outline: Outline) -> bool:
    """Whether the only optimizer's update surely comes next, perhaps in all that call the function of the clip."""
    return has_one_optimizer(outline) and _steps_next(site, outline, frozenset())


def _steps_next(site: Site, outline: Outline, seen: frozenset[str]) -> bool:
    beside = _called(site.statement) - {site.name}
    if beside & (_BACKWARD | _UPDATES) or _may_do_more(beside, outline):
        return False
    for statement in _after(site):
        called = _called(statement)
        if isinstance(statement, ast.Expr) and _is_step(statement.value) and len(called) == 1:
            return not _is_own_step(site, outline)
        if called & (_BACKWARD | _UPDATES) or _may_do_more(called, outline):
            return False
        if isinstance(statement, ast.Return):
            break
        if any(isinstance(node, (ast.Return, ast.Continue, ast.Break, ast.Raise)) for node in walk(statement)):
            return False
    function = next((above for above in site.above if isinstance(above, _DEFINITIONS)), None)
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) or function.name in seen:
        return False
    above = callers(site, outline)
    return bool(above) and all(_steps_next(each, outline, seen | {function.name}) for each in above)


def may_be_misplaced(site: Site, outline: Outline, *actions: str) -> bool:
    """Whether it may stand elsewhere than between the backward pass and the step, with these actions around it. Raises
    CannotTellError."""
    return not follows_backward(site, outline) and not precedes_step(site, outline) and meets(site, outline, *actions)


def meets(site: Site, outline: Outline, *actions: str) -> bool:
    """Whether all of these may happen in one step with the clip: "zero", "backward", "step". Raises CannotTellError."""
    names = [_names_of(action, outline) for action in actions]
    if not all(any(outline.has(name.encode()) for name in each) for each in names):
        return False
    called = called_in_steps(site, outline)
    return not any(called.isdisjoint(each) for each in names)


def _names_of(action: str, outline: Outline) -> frozenset[str]:
    """What is called where that happens."""
    names = _ACTIONS[action]
    if outline.has(_TF):
        names |= outline.aliases(_TF_ACTIONS.get(action, frozenset()))
    return names | {"step"} if outline.has(_HIDES) else names


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
    name = last_name(node.func.value).strip("_")
    if name == "scaler":
        return True
    # What is handed over may be a closure, in which the backward pass runs.
    return name in ("optimizer", "optim", "opt") and not node.args and not node.keywords


def _is_own_step(site: Site, outline: Outline) -> bool:
    """Whether `step` may run a function of the file, other than the one that it is called in."""
    own = outline.defined.get("step", ())
    return bool(own) and not (len(own) == 1 and site.function is not None and site.function.name == "step")


def has_one_optimizer(outline: Outline) -> bool:
    """Whether all steps are made on one optimizer (perhaps through a scaler), going by names."""
    return _are_of_one(outline.found(_STEPPED)) or _are_of_one(frozenset(map(ast.unparse, stepped(outline))))


def _are_of_one(stepped: frozenset[str]) -> bool:
    found = {name.removeprefix("self.") for name in stepped}
    return len({name for name in found if not _NO_OPTIMIZER.search(name)}) <= 1


_STEPPED = rb"([\w.]*)[\s\\)\]]*\.[\s\\]*step\s*\("
_NO_OPTIMIZER = re.compile(r"(?:^|\.)(?:scaler|envs?|profiler|prof|\w*sched\w*)$")


def _may_do_more(called: set[str], outline: Outline) -> bool:
    """Whether one of these functions is the file's own, and may change gradients or weights."""
    own = called & outline.defined.keys()
    return bool(own) and not called_below(own, outline).isdisjoint(_changing(outline))


def _changing(outline: Outline) -> frozenset[str]:
    return _names_of("backward", outline) | _names_of("step", outline) | _UPDATES | _UNSCALES


def _called(statement: ast.stmt) -> set[str]:
    if isinstance(statement, _DEFINITIONS):
        return set()
    return {last_name(node.func) for node in walk(statement) if isinstance(node, ast.Call)}


def _before(site: Site) -> Iterator[ast.stmt]:
    """The statements before it, the nearest first, in its block and in those around it in the same function."""
    for block, place, _ in _places(site):
        yield from reversed(block[:place])


def _after(site: Site) -> Iterator[ast.stmt]:
    """The statements that surely run behind it, the nearest first; `break` where it is not known what does."""
    if isinstance(site.statement, ast.Return):
        return
    if hasattr(site.statement, "body"):
        yield ast.Break()
    for block, place, owner in _places(site):
        yield from _opened(block[place + 1 :])
        if isinstance(owner, (*_LOOPS, ast.Try)):
            calls = {last_name(n.func) for n in walk(owner) if isinstance(n, ast.Call)}
            if isinstance(owner, (ast.While, ast.Try)) or calls & (_BACKWARD | _UPDATES):
                yield ast.Break()


def _opened(block: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements, and instead of `with` and `for` what surely runs in them: loops are taken to run at least once,
    as the analysis does."""
    for statement in block:
        if isinstance(statement, (ast.With, ast.For)):
            heads = [w.context_expr for w in statement.items] if isinstance(statement, ast.With) else [statement.iter]
            yield from map(ast.Expr, heads)
            yield from _opened(statement.body)
        else:
            yield statement


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
