"""What clips of values may be, and what may become of them, as far as CPython's syntax tree tells.

Nothing is resolved here: where the tree leaves two readings open, both are taken.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from msgspec import Struct

from clipcheck.frameworks import CLIPS, METHOD_CLIPS
from clipcheck.frameworks.api import At, ClipValues
from clipcheck.outline.origins import parts
from clipcheck.outline.outline import Outline, Site, last_name, walk

_FUNCTIONS: dict[str, list[ClipValues]] = {}
for _name, _api in CLIPS.items():
    _FUNCTIONS.setdefault(_name.rpartition(".")[2], []).append(_api)

VALUE_CLIPS = frozenset({*_FUNCTIONS, *METHOD_CLIPS})
_COMPREHENSIONS = (ast.ListComp, ast.GeneratorExp, ast.SetComp)
_FUNCTION_NODES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


class Clip(Struct, frozen=True):
    """One reading of a call that may bound values."""

    site: Site
    subject: ast.expr
    low: ast.expr | None
    high: ast.expr | None
    in_place: bool
    is_method: bool
    is_complete: bool
    """Whether both bounds are handed over, if only as None."""

    def may_be_of_numpy(self, outline: Outline) -> bool:
        root = self.site.root
        if self.is_method or root in ("torch", "tf", "tensorflow", "keras"):
            return False
        name = (root or "").encode()
        return root is None or outline.has(rb"\bnumpy\s+as\s+%s\b|import\s+%s\b|\b%s\s*=(?!=)" % (name, name, name))

    @property
    def bounds(self) -> list[ast.expr]:
        return [bound for bound in (self.low, self.high) if bound is not None]


def value_clips(outline: Outline) -> tuple[Clip, ...]:
    """Every reading of every call that may bound values. Raises CannotTellError."""
    return outline.once(_value_clips)


def _value_clips(outline: Outline) -> tuple[Clip, ...]:
    return tuple(clip for site in outline.calls(VALUE_CLIPS) for clip in _readings(site, outline))


def _readings(site: Site, outline: Outline) -> Iterator[Clip]:
    is_function, is_method = _forms(site, outline)
    found = []
    if is_function:
        # Under another name (`from torch import clamp as c`) it may be any of them.
        apis = _FUNCTIONS.get(site.name, [])
        if site.name not in VALUE_CLIPS:
            apis = [api for own in _FUNCTIONS.values() for api in own]
        found += [clip for api in apis if (clip := _function(site, api)) is not None]
    if is_method and site.receiver is not None and site.name in METHOD_CLIPS:
        found.append(_clip(site, METHOD_CLIPS[site.name], site.receiver, is_method=True))
    seen = set()
    for clip in found:
        key = (id(clip.subject), id(clip.low), id(clip.high), clip.in_place)
        if key not in seen:
            seen.add(key)
            yield clip


def _forms(site: Site, outline: Outline) -> tuple[bool, bool]:
    """Whether it may be a function (of a module), and whether a method (of a tensor)."""
    if site.receiver is None:
        return True, False
    root = site.root
    if root is None:
        return False, True
    is_bound = outline.has(rb"\b%s\s*=(?!=)" % root.encode())
    return _may_be_module(root, outline, set()), root not in outline.imported or is_bound


def _may_be_module(name: str, outline: Outline, seen: set[str]) -> bool:
    """Whether a name may be an import's, also by `name = numpy`."""
    if name in outline.imported:
        return True
    seen.add(name)
    plain = outline.found(rb"\b%s\s*(?::[^=\n]*)?=[\s\\(]*([A-Za-z_]\w*)[\w.]*[ \t)]*(?:[\n\r#;]|\Z)" % name.encode())
    return any(other not in seen and _may_be_module(other, outline, seen) for other in plain)


def _function(site: Site, api: ClipValues) -> Clip | None:
    subject = _argument(site, api.value) if api.value is not None else None
    return _clip(site, api, subject, is_method=False) if subject is not None else None


def _clip(site: Site, api: ClipValues, subject: ast.expr, *, is_method: bool) -> Clip:
    place = (2 if is_method else 3) if site.name == "clip" else None  # NumPy takes it by position too
    in_place = api.in_place or site.argument(place, "out") is not None
    low, high = (_argument(site, at) for at in (api.low, api.high))
    is_complete = low is not None and high is not None
    return Clip(site, subject, _given(low), _given(high), in_place, is_method, is_complete)


def _argument(site: Site, at: At) -> ast.expr | None:
    return site.argument(at.position, *at.keywords)


def _given(bound: ast.expr | None) -> ast.expr | None:
    return None if isinstance(bound, ast.Constant) and bound.value is None else bound


_TAKES_GRADIENTS = rb"\.\s*grad\b|gradients?\s*\(|\bgrad\s*\("
_GRADIENTS = frozenset({"gradient", "gradients", "grad", "compute_gradients", "get_gradients"})


def may_be_gradient(clip: Clip, outline: Outline) -> bool:
    """Whether what is clipped may be a gradient, as the analysis knows it: a `.grad`, or what a function returned."""
    if not outline.has(_TAKES_GRADIENTS):
        return False
    if not isinstance(clip.subject, (ast.Name, ast.Attribute, ast.Subscript, ast.Call)):
        return False
    return any(
        (isinstance(part, ast.Attribute) and part.attr == "grad")
        or (isinstance(part, ast.Call) and last_name(part.func) in _GRADIENTS)
        for part in parts(outline, clip.subject)
    )


# What becomes of the result


def is_thrown_away(site: Site) -> bool:
    """Whether the call is a statement, a branch of one, or what a list is made of that is one."""
    node: ast.AST = site.call
    for above in site.above:
        if isinstance(above, ast.Expr):
            return True
        is_element = isinstance(above, _COMPREHENSIONS) and above.elt is node
        is_branch = isinstance(above, ast.IfExp) and above.test is not node
        if not is_element and not is_branch:
            return False
        node = above
    return False


def rebound_name(site: Site) -> tuple[str, ast.expr] | None:
    """The name of `name = clip(…)` and `name = [clip(…) for …]`, and the whole value."""
    statement = site.statement
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target, value = statement.targets[0], statement.value
    is_clip = value is site.call or (isinstance(value, ast.ListComp) and value.elt is site.call)
    return (target.id, value) if isinstance(target, ast.Name) and is_clip else None


def names_bound(site: Site) -> set[str]:
    """The names that the call's statement binds, or that are bound to one of these."""
    statement = site.statement
    bound = {target.id for target in targets_of(statement) if isinstance(target, ast.Name)}
    if bound and isinstance(statement, ast.Assign) and statement.value is site.call:
        for node in walk(site.home):
            if isinstance(node, (ast.Assign, ast.AugAssign)) and names_in(node.value) & bound:
                bound = bound | {target.id for target in targets_of(node) if isinstance(target, ast.Name)}
    return bound


def loop_names(site: Site) -> set[str]:
    """The names that loops in the same function give their values to."""
    loops = (node for node in walk(site.home) if isinstance(node, (ast.For, ast.AsyncFor)))
    return {name for loop in loops for name in names_in(loop.target)}


def targets_of(statement: ast.AST) -> list[ast.expr]:
    """What an assignment assigns to; nothing for other statements."""
    if isinstance(statement, ast.Assign):
        return statement.targets
    return [statement.target] if isinstance(statement, (ast.AugAssign, ast.AnnAssign)) else []


def names_in(*nodes: ast.AST | None) -> set[str]:
    return {n.id for node in nodes if node is not None for n in walk(node) if isinstance(n, ast.Name)}


def is_surely_read(site: Site, name: str) -> bool:
    """Whether something reads what the call's statement binds to a name, in the same pass or the next."""
    child: ast.AST = site.statement
    for above in site.above:
        if above is child or isinstance(above, ast.expr):
            continue
        for block in [] if isinstance(above, ast.Lambda) else _blocks(above):
            place = next((i for i, statement in enumerate(block) if statement is child), None)
            if place is None:
                continue
            use = _use(block[place + 1 :], name)
            if use is None and isinstance(above, (ast.For, ast.AsyncFor, ast.While)) and block is above.body:
                use = _use_around(above, block[: place + 1], name)
            if use is not None:
                return use == "load"
        if isinstance(above, _FUNCTION_NODES):
            return False
        child = above
    return False


def _use_around(loop: ast.For | ast.AsyncFor | ast.While, before: Sequence[ast.stmt], name: str) -> str | None:
    """How the next pass of a loop first uses a name."""
    if isinstance(loop, ast.While):
        if _reads(loop.test, name):
            return "load"
    elif name in names_in(loop.target):
        return None
    return "load" if _use(before, name) == "load" else None


def _blocks(node: ast.AST) -> list[list[ast.stmt]]:
    blocks = [getattr(node, field, None) for field in ("body", "orelse", "finalbody")]
    blocks += [part.body for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ()))]
    return [block for block in blocks if isinstance(block, list)]


def _use(block: Sequence[ast.stmt], name: str) -> str | None:
    """How statements first use a name: "load" if one of them may see it, "store" if it surely gets another value."""
    for statement in block:
        if isinstance(statement, (*_FUNCTION_NODES, ast.Match)):
            continue
        if isinstance(statement, (ast.For, ast.AsyncFor)) and name in names_in(statement.target):
            continue
        inner = _blocks(statement)
        if not inner:
            if _is_read_in(statement, name):
                return "load"
            if any(isinstance(n, ast.Name) and n.id == name for n in walk(statement)):
                return "store"
            continue
        if any(_reads(head, name) for head in ast.iter_child_nodes(statement) if isinstance(head, ast.expr)):
            return "load"
        if any(_use(below, name) == "load" for below in inner):
            return "load"
    return None


def _is_read_in(statement: ast.stmt, name: str) -> bool:
    if isinstance(statement, ast.AugAssign) and last_name(statement.target) == name:
        return isinstance(statement.target, ast.Name)
    return any(_reads(part, name) for part in ast.iter_child_nodes(statement))


def _reads(node: ast.AST, name: str) -> bool:
    """Whether an expression reads a name that it does not bind itself."""
    uses = [n.ctx for n in walk(node) if isinstance(n, ast.Name) and n.id == name]
    inner = any(isinstance(n, ast.Lambda) for n in walk(node))
    return bool(uses) and not inner and all(isinstance(use, ast.Load) for use in uses)


def called_in(site: Site) -> frozenset[str]:
    """The last names of what the function around a call calls, and of the attributes that it sets."""
    nodes = list(walk(site.home))
    called = {last_name(node.func) for node in nodes if isinstance(node, ast.Call)}
    return frozenset(called | {last_name(target) for node in nodes for target in targets_of(node)})


def is_number(node: ast.expr) -> bool:
    """Whether a number is written there."""
    node = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def is_surely_used(site: Site) -> bool:
    """Whether something takes what the call returns, or reads the name that it is bound to."""
    if is_thrown_away(site):
        return False
    statement = site.statement
    if not isinstance(statement, ast.Assign):
        return not isinstance(statement, ast.Expr)
    names = names_in(*statement.targets)
    return not names or any(is_surely_read(site, name) for name in names)
