"""What clips of values may be, and what may become of them, as far as CPython's syntax tree tells.

Nothing is resolved here: where the tree leaves two readings open, both are taken.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from clipcheck.frameworks import CLIPS, METHOD_CLIPS
from clipcheck.frameworks.api import At, ClipValues
from clipcheck.outline.classes import imports
from clipcheck.outline.origins import origins
from clipcheck.outline.outline import Outline, Site, last_name, walk
from clipcheck.outline.scopes import Scopes

_FUNCTIONS: dict[str, list[ClipValues]] = {}
for _name, _api in CLIPS.items():
    _FUNCTIONS.setdefault(_name.rpartition(".")[2], []).append(_api)

VALUE_CLIPS = frozenset({*_FUNCTIONS, *METHOD_CLIPS})
_COMPREHENSIONS = (ast.ListComp, ast.GeneratorExp, ast.SetComp)
_FUNCTION_NODES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


class Clip(Struct, frozen=True):
    """One reading of a call that may bound values."""

    site: Site
    library: str
    """The library whose function it is; "" for a method."""
    subject: ast.expr
    low: ast.expr | None
    high: ast.expr | None
    in_place: bool
    is_method: bool
    is_complete: bool
    """Whether both bounds are handed over, if only as None, or the function takes one alone."""

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
        found += [
            clip for api in apis if may_be_of(api.library, site.call.func, outline) and (clip := _function(site, api))
        ]
    if is_method and site.receiver is not None and site.name in METHOD_CLIPS and _may_have_method(site, outline):
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
    is_bound = outline.is_given(root)
    return may_be_module(site.call.func, outline), root not in outline.imported or is_bound


def may_be_of(library: str, function: ast.expr, outline: Outline) -> bool:
    """Whether a function may be a library's: whether that stands in its name, or in the import of its module."""
    word, root = library.encode(), _root(function)
    if not outline.has(word):
        return False
    if root is function or not isinstance(root, ast.Name) or outline.is_given(root.id):
        return True
    if library == "keras" and library in ast.unparse(function):  # tf.keras
        return True
    name = re.compile(rb"\b%s\b" % root.id.encode())
    return any(word in statement for statement in imports(outline) if name.search(statement))


def _root(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node


def _may_have_method(site: Site, outline: Outline) -> bool:
    """Whether the receiver may be a tensor, which it must be known to be where `clip` may be another method."""
    receiver = site.receiver
    if site.name != "clip" or not isinstance(receiver, ast.Attribute) or receiver.attr in _TENSOR_ATTRIBUTES:
        return True
    return bool(outline.once(Scopes).attribute(receiver.attr))


_TENSOR_ATTRIBUTES = frozenset(
    "data detach grad T mT H real imag values value kernel bias gamma beta embeddings weight".split()
)


def may_be_module(node: ast.expr, outline: Outline) -> bool:
    """Whether something that is called by names and dots may begin with an import's name, also by `name = numpy`."""
    root = _root(node)
    return isinstance(root, ast.Name) and any(each in outline.imported for each in meanings(root.id, outline))


def meanings(name: str, outline: Outline) -> list[str]:
    """The name, and the first names of what is assigned to it alone, and to that in turn."""
    known = [name]
    for each in known:
        if each in outline.imported:
            continue
        known += sorted(outline.names_given(each).difference(known))
    return known


def _function(site: Site, api: ClipValues) -> Clip | None:
    subject = _argument(site, api.value) if api.value is not None else None
    return _clip(site, api, subject, is_method=False) if subject is not None else None


def _clip(site: Site, api: ClipValues, subject: ast.expr, *, is_method: bool) -> Clip:
    place = (2 if is_method else 3) if site.name == "clip" else None  # NumPy takes it by position too
    in_place = api.in_place or site.argument(place, "out") is not None
    low, high = (_argument(site, at) for at in (api.low, api.high))
    is_complete = api.one_sided or (low is not None and high is not None)
    library = "" if is_method else api.library
    return Clip(site, library, subject, _given(low), _given(high), in_place, is_method, is_complete)


def _argument(site: Site, at: At) -> ast.expr | None:
    return site.argument(at.position, *at.keywords)


def _given(bound: ast.expr | None) -> ast.expr | None:
    return None if isinstance(bound, ast.Constant) and bound.value is None else bound


_TAKES_GRADIENTS = rb"\.\s*grad\b|gradients?\s*\(|\bgrad\s*\("
_GRADIENTS = frozenset({"gradient", "gradients", "grad", "compute_gradients", "get_gradients"})
_KEEPING_GRADIENTS = frozenset(
    "data detach T mT H real imag values value numpy item cpu cuda to clone contiguous view astype read_value copy "
    "items float int abs round list tuple set sorted reversed iter filter enumerate zip chain dict".split()
)
"""The functions, methods and attributes that take a gradient, or several, and give one back; with those in place."""


def may_be_gradient(clip: Clip, outline: Outline) -> bool:
    """Whether what is clipped may be a gradient, as the analysis knows it: a `.grad`, or what a function returned."""
    if not outline.has(_TAKES_GRADIENTS):
        return False
    return any(
        (isinstance(origin, ast.Attribute) and origin.attr == "grad")
        or (isinstance(origin, ast.Call) and last_name(origin.func) in outline.aliases(_GRADIENTS))
        for origin in origins(outline, clip.site, clip.subject, _KEEPING_GRADIENTS)
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


def loop_names_bound(site: Site) -> set[str]:
    """The variables of loops that the call's statement binds in the loop, or that are bound there to what it binds."""
    statement = site.statement
    own = _names_bound(statement) if getattr(statement, "value", None) is site.call else set()
    found: set[str] = set()
    for loop in walk(site.home):
        if isinstance(loop, (ast.For, ast.AsyncFor)):
            names = names_in(loop.target)
            for node in walk(loop):
                if isinstance(node, (ast.Assign, ast.AugAssign)) and (node is statement or names_in(node.value) & own):
                    found |= names & _names_bound(node)
    return found


def _names_bound(statement: ast.AST) -> set[str]:
    return {target.id for target in targets_of(statement) if isinstance(target, ast.Name)}


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
