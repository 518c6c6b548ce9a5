"""What may clip an array one element at a time, as far as CPython's syntax tree tells."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

from clipcheck.outline.constants import Numbers, may_both, numbers
from clipcheck.outline.outline import Outline, last_name, walk
from clipcheck.outline.shapes import VALUE_CLIPS

_Comprehension: TypeAlias = ast.ListComp | ast.GeneratorExp
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_Test: TypeAlias = Callable[[re.Match[bytes], bytes], bool]
_Wanted: TypeAlias = Callable[[ast.expr], bool]

_GAP = rb"(?:\s|#[^\n]*\n)*"
_LOOP = rb"for\s(?:[^\n]*|[^:\n(]*\([^:\n#]*(?:#[^\n]*)?\n(?:[^:#]|#[^\n]*\n)*\)):" + _GAP
_EXTREMES = rb"m(?:in|ax)\s*\((?:[^()]*,)?" + _GAP + rb"m(?:in|ax)\s*\("
_STORED = _LOOP + rb"if[\s(][^:<>]*[<>]=?[^:<>]*:" + _GAP + rb"[\w.]+\["
_COMPARED = rb"if[\s(]([^:<>\n]+)[<>]=?([^:<>\n]+)(?:\s+else\b([^\n]*)|:" + _GAP + rb"return\b([^\n]*))"
_ARGUMENTS = rb"(?:[^()#]|#[^\n]*\n|\((?:[^()#]|#[^\n]*\n)*\))*"
SHAPES = (_EXTREMES, _STORED, _COMPARED)
"""What clips a number without the word: `min(max(…))`, `if x[i] > c: x[i] = c`, `c if v > c else v`."""

_MAPPERS = frozenset({"map", "map_fn", "vectorized_map", "vectorize"})
_MAKERS = frozenset({"array", "asarray", "stack", "tensor", "as_tensor", "convert_to_tensor", "constant"})
_NO_ARRAYS = frozenset({"range", "zip", "enumerate", "sorted", "reversed", "list", "tuple", "set"})
_FEW = re.compile(r"box|rect|reward|coord|point|corner|rgb|colou?r")
_FAR = 100
_COMMENT = re.compile(rb"#[^\n]*")
_OPENS_ELEMENT = re.compile(rb"(?:\bappend|\belse|\blambda\s+\w+\s*:|\]\s*=)\Z")
_TAKES_ONE = re.compile(rb"def\s+\w+\s*\([^(),]*(?:,\s*/\s*)?,?\s*\)")
_TAKES_PLAIN = re.compile(rb"def\s+\w+\s*\([^()]*\)")


def may_clip_elements(outline: Outline) -> bool:
    """Whether a walk through an array may clip each element, and do nothing else. Raises CannotTellError."""
    patterns = [pattern for pattern, test in (*_SHAPES, *_clips(outline)) if _is_found(pattern, test, outline)]
    if any(_may_clip_each(node, outline) for pattern in patterns for node in _nodes_at(pattern, outline)):
        return True
    sites = outline.calls({"vectorize"}) if outline.has(rb"vectorize") else ()
    return any(
        _may_map(site.call, outline) for site in sites if not getattr(site.function, "name", "").startswith("test")
    )


def _nodes_at(pattern: bytes, outline: Outline) -> Iterator[ast.AST]:
    """The nodes around what a pattern finds, but for what a test compares with."""
    in_tests: set[int] = set()
    for node in outline.nodes_at(pattern):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inside = set(map(id, walk(node)))
            in_tests = in_tests | inside if node.name.startswith("test") else in_tests - inside
            yield node
        elif id(node) not in in_tests:
            yield node


def _is_found(pattern: bytes, test: _Test, outline: Outline) -> bool:
    return outline.has(pattern) and any(test(found, outline.data) for found in outline.finditer(pattern))


def _always(found: re.Match[bytes], data: bytes) -> bool:
    return True


def _may_be_element(found: re.Match[bytes], data: bytes, end: int | None = None) -> bool:
    """Whether it may be the head of a comprehension, or what a lambda, a function of one parameter or a loop makes."""
    end = found.start() if end is None else end
    before = _COMMENT.sub(b"", data[max(0, end - _FAR) : end]).rstrip(b"( \t\r\n\\")
    if before.endswith(b"return"):
        return _may_take_one(found, data)
    return _OPENS_ELEMENT.search(before) is not None or b"for" in data[found.start() : found.end() + 2 * _FAR]


def _chooses_bound(found: re.Match[bytes], data: bytes) -> bool:
    """Whether a comparison chooses one of its sides, over the other or in a function of one parameter."""
    sides = [side.strip(b"() \t") for side in found.groups()[:2]]
    if found[3] is None:
        chosen = found[4].strip(b"( \t\r\\")
        return (not chosen or any(map(chosen.startswith, sides))) and _may_take_one(found, data)
    rest = found[3].lstrip(b"( \t\r\\")
    if rest and b" if " not in rest and not any(map(rest.startswith, sides)):
        return False
    start = max(0, found.start() - 3 * _FAR)
    before = data[start : found.start()].rstrip(b") \t\r\n\\")
    ends = [start + len(before) - len(side) for side in sides if before.endswith(side)]
    return any(_may_be_element(found, data, end) for end in ends)


def _may_take_one(found: re.Match[bytes], data: bytes) -> bool:
    """Whether the function that something stands in may have one parameter."""
    header = data.rfind(b"def ", 0, found.start())
    return header >= 0 and (_TAKES_ONE.match(data, header) is not None or _TAKES_PLAIN.match(data, header) is None)


_SHAPES: tuple[tuple[bytes, _Test], ...] = (
    (_EXTREMES, _may_be_element),
    (_STORED, _always),
    (_COMPARED, _chooses_bound),
)


def _clips(outline: Outline) -> list[tuple[bytes, _Test]]:
    """Where a call may clip an element: at the head of a comprehension, in a lambda, returned, or stored in a loop."""
    if not outline.has(rb"clip|clamp"):
        return []
    others = [name.encode() for name in outline.aliases(VALUE_CLIPS) if not name.startswith(("clip", "clamp"))]
    clip = rb"(?:%s)\s*\(" % b"|".join([rb"cl(?:ip|amp)\w*", *others])
    return [
        (clip + _ARGUMENTS + rb"\)(?:[\s)]|#[^\n]*\n)*for\b", _always),
        (rb"lambda\s+\w+\s*:[\s(\\]*[\w.()\s]*?\b" + clip, _always),
        (rb"return[\s(\\]+[\w.()\s]*?\b" + clip, _may_take_one),
        (_LOOP + rb"[\w.]+\[[^\n=]*\]\s*=[^=]{0,200}?\b" + clip, _always),
    ]


def _may_clip_each(node: ast.AST, outline: Outline) -> bool:
    if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
        return _may_be_walk(node, outline, by_library=False)
    if isinstance(node, ast.Call):
        return _may_make(node, outline) or _may_map(node, outline)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return _may_clip_parameter(node, outline) and _may_clip_elsewhere(node, outline)
    return isinstance(node, ast.For) and _may_be_loop(node, outline)


# What walks through an array


def _may_be_walk(node: _Comprehension, outline: Outline, *, by_library: bool) -> bool:
    """`[min(max(v, low), high) for v in x]`; or with a library's clip, which may be one of rows."""
    variables: list[str] = []
    array = node.generators[0].iter
    inner: ast.expr = node
    while isinstance(inner, (ast.ListComp, ast.GeneratorExp)):
        loop = inner.generators[0]
        if len(inner.generators) > 1 or loop.ifs or loop.is_async or not isinstance(loop.target, ast.Name):
            return False
        variables.append(loop.target.id)
        inner = inner.elt
    if _is_library_clip(inner, outline) != by_library:
        return False
    if _may_be_array(array, outline) and _may_clip_one(inner, _named(variables[-1]), variables, outline):
        return True
    return len(variables) == 1 and not by_library and _may_clip_one(inner, _indexed(variables), variables, outline)


def _may_make(call: ast.Call, outline: Outline) -> bool:
    """`np.array([np.clip(v, low, high) for v in x])`."""
    given = call.args[0] if len(call.args) == 1 and not call.keywords else None
    if not isinstance(given, (ast.ListComp, ast.GeneratorExp)) or last_name(call.func) not in outline.aliases(_MAKERS):
        return False
    return _may_be_walk(given, outline, by_library=True)


def _may_map(call: ast.Call, outline: Outline) -> bool:
    """`map(f, x)`, `np.vectorize(f)`, `tf.map_fn(f, x)`."""
    name = last_name(call.func)
    if not call.args or name not in outline.aliases(_MAPPERS):
        return False
    function = call.args[0]
    if not isinstance(function, ast.Lambda):
        return isinstance(function, ast.Name) and any(
            _may_clip_parameter(each, outline) for each in _functions(function.id, outline)
        )
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    if len(names) != 1:
        return False
    is_one_sided = isinstance(function.body, ast.Call) and last_name(function.body.func) in ("min", "max")
    return is_one_sided or _may_clip_one(function.body, _named(names[0]), names, outline)


def _may_be_loop(node: ast.For, outline: Outline) -> bool:
    """`for i in range(len(x)): if x[i] > c: x[i] = c`, `for v in x: out.append(min(max(v, low), high))`."""
    variables = _names(node.target)
    while len(node.body) == 1 and isinstance(node.body[0], ast.For):
        node = node.body[0]
        variables += _names(node.target)
    only = node.body[0] if len(node.body) == 1 else None
    if isinstance(only, ast.Expr) and isinstance(only.value, ast.Call):
        call = only.value
        return (
            last_name(call.func) == "append" and len(call.args) == 1 and _may_be_each(call.args[0], variables, outline)
        )
    if isinstance(only, ast.Assign):
        by_library = _is_library_clip(only.value, outline) and len(variables) < 2
        is_element = len(only.targets) == 1 and _indexed(variables)(only.targets[0])
        named = variables if _may_count(node) else []
        return is_element and not by_library and _may_be_each(only.value, variables, outline, named, by_library=True)
    return all(_may_store_bound(statement, node, variables, outline) for statement in _chained(node.body))


def _may_be_each(
    node: ast.expr, variables: list[str], outline: Outline, named: list[str] | None = None, *, by_library: bool = False
) -> bool:
    """`named`: the variables that are elements themselves, if not all of them may be."""
    if _is_library_clip(node, outline) and not by_library:
        return False
    wanted = [_indexed(variables), *map(_named, variables if named is None else named)]
    return any(_may_clip_one(node, each, variables, outline) for each in wanted)


def _may_count(loop: ast.For) -> bool:
    """Whether it may be `for i, v in enumerate(x)`."""
    return isinstance(loop.iter, ast.Call) and len(loop.iter.args) == 1 and len(_names(loop.target)) == 2


def _may_store_bound(statement: ast.stmt, loop: ast.For, variables: list[str], outline: Outline) -> bool:
    """`if x[i] > high: x[i] = high`; `y[i] = high` if `y[i] = x[i]` comes last, or `v` is `x[i]`."""
    if not isinstance(statement, ast.If) or len(statement.body) != 1:
        return False
    given = statement.body[0]
    if not isinstance(given, ast.Assign) or len(given.targets) != 1 or not _indexed(variables)(given.targets[0]):
        return False
    last = [*_chained(loop.body)][-1]
    return any(
        (_indexed(variables)(value) or any(_named(name)(value) for name in variables))
        and _is_fixed([bound], variables)
        and (_is_same(given.targets[0], value) or _may_count(loop) or _may_keep(last, value))
        and _may_be_same(given.value, bound, outline)
        for value, bound in _compared(statement.test)
    )


def _may_keep(last: ast.stmt, value: ast.expr) -> bool:
    """Whether an `else` assigns the value."""
    rest = last.orelse if isinstance(last, ast.If) else []
    return len(rest) == 1 and isinstance(rest[0], ast.Assign) and _is_same(rest[0].value, value)


def _chained(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements, with the `elif`s of each as statements of their own."""
    for statement in statements:
        yield statement
        if isinstance(statement, ast.If) and len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If):
            yield from _chained(statement.orelse)


# What clips one number


def _may_clip_one(node: ast.expr, wanted: _Wanted, variables: list[str], outline: Outline) -> bool:
    """Whether an expression clips what is wanted, or hands it to a function of the file that does nothing else."""
    if _is_clip_of(node, wanted, variables, outline):
        return True
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or len(node.args) != 1:
        return False
    functions = _functions(node.func.id, outline) if wanted(node.args[0]) else ()
    return any(_may_clip_parameter(function, outline) for function in functions)


def _is_clip_of(node: ast.expr, wanted: _Wanted, variables: list[str], outline: Outline) -> bool:
    """Whether an expression clips what is wanted between bounds that stay the same."""
    if isinstance(node, ast.IfExp):
        return _is_choice(node, wanted, variables)
    if not isinstance(node, ast.Call):
        return False
    found = (*_extremes(node), *_clipped(node, outline))
    return any(wanted(value) and _is_fixed(bounds, variables) for value, bounds in found)


def _is_choice(node: ast.IfExp, wanted: _Wanted, variables: list[str]) -> bool:
    """`high if v > high else low if v < low else v`."""
    return any(
        wanted(value)
        and _is_same(node.body, bound)
        and _is_fixed([bound], variables)
        and (
            _is_choice(node.orelse, wanted, variables)
            if isinstance(node.orelse, ast.IfExp)
            else _is_same(node.orelse, value)
        )
        for value, bound in _compared(node.test)
    )


def _compared(test: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """What is compared with what, both ways round."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return []
    if not isinstance(test.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE)):
        return []
    one, other = test.left, test.comparators[0]
    return [(one, other), (other, one)]


def _extremes(node: ast.Call) -> Iterator[tuple[ast.expr, list[ast.expr]]]:
    """(v, [low, high]) for `min(max(v, low), high)`, whichever is which."""
    for inner, bound in _both_ways(node):
        if isinstance(inner, ast.Call) and last_name(inner.func) != last_name(node.func):
            yield from ((value, [bound, other]) for value, other in _both_ways(inner))


def _both_ways(node: ast.Call) -> list[tuple[ast.expr, ast.expr]]:
    if last_name(node.func) not in ("min", "max") or len(node.args) != 2 or node.keywords:
        return []
    return [(node.args[0], node.args[1]), (node.args[1], node.args[0])]


def _is_library_clip(node: ast.expr, outline: Outline) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) in outline.aliases(VALUE_CLIPS)


def _clipped(node: ast.Call, outline: Outline) -> Iterator[tuple[ast.expr, list[ast.expr]]]:
    """(v, [low, high]) for `np.clip(v, low, high)` and `v.clamp(low, high)`."""
    if _is_library_clip(node, outline):
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        for value in given:
            yield value, [other for other in given if other is not value]
        if isinstance(node.func, ast.Attribute):
            yield node.func.value, given


def _may_clip_parameter(function: _Function, outline: Outline) -> bool:
    """Whether a function of one parameter does nothing but clip it, between bounds that are known outside."""
    given = function.args
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    if function.decorator_list or len(names) != 1 or given.vararg or given.kwarg:
        return False
    statements = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    if not statements:
        return False
    wanted = _named(names[0])
    first, *rest = statements
    if isinstance(first, ast.Return):
        return first.value is not None and _is_clip_of(first.value, wanted, names, outline)
    if not isinstance(first, ast.If) or len(first.body) != 1 or not isinstance(first.body[0], ast.Return):
        return False
    chosen = first.body[0].value
    returned = [node.value for each in (*first.orelse, *rest) for node in walk(each) if isinstance(node, ast.Return)]
    return chosen is not None and any(
        wanted(value)
        and _is_same(chosen, bound)
        and _is_fixed([bound], names)
        and any(other is not None and _may_be_same(other, value, outline) for other in returned)
        for value, bound in _compared(first.test)
    )


def _functions(name: str, outline: Outline) -> Iterator[_Function]:
    """The functions of the file that a name may stand for."""
    names = {name, *outline.found(rb"\b%s\s*(?::[^=\n]*)?=[\s\\(]*([A-Za-z_]\w*)" % name.encode())}
    for each in names:
        for node in outline.nodes_at(rb"\bdef\s+%s\b" % each.encode()):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == each:
                yield node


def _may_clip_elsewhere(function: _Function, outline: Outline) -> bool:
    """Whether something where the function is mentioned may use it for each element."""
    for name in outline.aliases(frozenset({function.name})):
        for node in _nodes_at(rb"(?<!def )\b%s\b" % name.encode(), outline):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and _may_clip_each(node, outline):
                return True
    return False


def _is_fixed(bounds: list[ast.expr], variables: list[str]) -> bool:
    """Whether there are bounds, the same for every element."""
    nodes = [node for bound in bounds for node in walk(bound)]
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return bool(bounds) and not names & set(variables) and not any(isinstance(n, (ast.Call, ast.Await)) for n in nodes)


def _is_same(one: ast.expr, other: ast.expr) -> bool:
    return ast.unparse(one) == ast.unparse(other)  # also of what is stored and what is read


def _may_be_same(one: ast.expr, other: ast.expr, outline: Outline) -> bool:
    """Whether two expressions are the same, or may be the same number."""
    if _is_same(one, other):
        return True
    return may_both(_numbers(one, outline), _numbers(other, outline), operator.eq)


def _numbers(node: ast.expr, outline: Outline) -> Numbers:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return Numbers(frozenset({float(node.value)}))
    return numbers(outline, node)


def _named(variable: str) -> _Wanted:
    """`v`, `v.item()` and `float(v)`."""

    def wanted(node: ast.expr) -> bool:
        if isinstance(node, ast.Call) and len(node.args) == 1:
            node = node.args[0]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "item":
            node = node.func.value
        return isinstance(node, ast.Name) and node.id == variable

    return wanted


def _indexed(variables: list[str]) -> _Wanted:
    """`x[i, j]` and `x[i][j]`, by names alone, one of these among them."""

    def wanted(node: ast.expr) -> bool:
        indices: list[ast.expr] = []
        while isinstance(node, ast.Subscript):
            indices += node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            node = node.value
        names = {index.id for index in indices if isinstance(index, ast.Name)}
        return bool(names & set(variables)) and all(isinstance(index, ast.Name) for index in indices)

    return wanted


def _names(target: ast.expr) -> list[str]:
    return [node.id for node in walk(target) if isinstance(node, ast.Name)]


def _may_be_array(node: ast.expr, outline: Outline) -> bool:
    """Whether something may be an array of many elements."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.Constant, ast.JoinedStr)):
        return False
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id not in _NO_ARRAYS or node.func.id in outline.imported
    return _FEW.search(ast.unparse(node).lower()) is None
