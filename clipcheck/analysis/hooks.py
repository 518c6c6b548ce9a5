"""Finds the hooks on gradients that clip in place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Kind, parameters
from clipcheck.frameworks import CLIPS, METHOD_CLIPS
from clipcheck.frameworks.torch import MODULE_HOOKS, RESCALING_METHODS, TENSOR_HOOKS
from clipcheck.model.code import Call
from clipcheck.model.hooks import InPlaceHookClip

_Hook: TypeAlias = cst.FunctionDef | cst.Lambda
_Clip: TypeAlias = cst.Call | cst.AugAssign

_SAME = frozenset({"data", "detach"})
_CLIPPING = re.compile(r"clip|clamp|norm", re.IGNORECASE)


def read_in_place_hook_clips(reading: FileReading) -> Iterator[InPlaceHookClip]:
    """Every in-place clip in a hook that this file registers, once, in the order of the registrations."""
    seen: set[cst.CSTNode] = set()
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        on_module = call.method in MODULE_HOOKS
        if not (on_module or call.method in TENSOR_HOOKS) or not node.args or node.args[0].star:
            continue
        for hook, bound in _hooks(reading, node.args[0].value):
            names = _gradient_names(hook, bound, on_module)
            for clip, gradient in _clips(reading, hook, names):
                if clip not in seen:
                    seen.add(clip)
                    yield _fact(reading, call, hook, clip, gradient, on_module)


def _hooks(reading: FileReading, node: cst.BaseExpression) -> Iterator[tuple[_Hook, int]]:
    """The functions that an expression may stand for, each with the number of its parameters that are bound already."""
    if isinstance(node, cst.Lambda):
        yield node, 0
    elif isinstance(node, cst.Call) and reading.name(node.func) == "functools.partial" and node.args:
        taken = sum(1 for arg in node.args[1:] if arg.keyword is None)
        yield from ((hook, bound + taken) for hook, bound in _hooks(reading, node.args[0].value))
    elif isinstance(node, cst.Call):
        yield from _made(reading, node)
    elif isinstance(node, cst.Name):
        for binding in reading.flow.reaching(node):
            if isinstance(binding.node, cst.FunctionDef):
                yield binding.node, 0
            elif binding.kind is Kind.ASSIGN and isinstance(binding.value, cst.Lambda):
                yield binding.value, 0
    elif isinstance(node, cst.Attribute) and isinstance(node.value, cst.Name):
        class_ = reading.scopes.class_of_self(node.value)
        for function in _methods(class_, node.attr.value):
            yield function, 0 if any(reading.text(d.decorator) == "staticmethod" for d in function.decorators) else 1


def _made(reading: FileReading, call: cst.Call) -> Iterator[tuple[_Hook, int]]:
    """The function inside a function of this file that a call of that makes: `register_hook(make_hook(0.1))`."""
    for maker, _ in _hooks(reading, call.func) if isinstance(call.func, (cst.Name, cst.Attribute)) else ():
        for node in reading.tree.below(maker.body):
            value = node.value if isinstance(node, cst.Return) else None
            if isinstance(value, (cst.Lambda, cst.Name)) and reading.function(node) is maker:
                yield from _hooks(reading, value)


def _methods(class_: cst.ClassDef | None, name: str) -> Iterator[cst.FunctionDef]:
    for statement in class_.body.body if class_ is not None else ():
        if isinstance(statement, cst.FunctionDef) and statement.name.value == name:
            yield statement


def _gradient_names(hook: _Hook, bound: int, on_module: bool) -> frozenset[str]:
    names = [param.name.value for param in parameters(hook)][bound:]
    return frozenset(names[1:3] if on_module else names[:1])


def _clips(reading: FileReading, hook: _Hook, names: frozenset[str]) -> Iterator[tuple[_Clip, cst.BaseExpression]]:
    is_about_clipping = _CLIPPING.search(reading.text(hook)) is not None
    for node in reading.tree.below(hook.body):
        gradient = None
        if isinstance(node, cst.Call):
            gradient = _clipped(reading, node, is_about_clipping)
        elif isinstance(node, cst.AugAssign) and is_about_clipping:
            scales = isinstance(node.operator, (cst.MultiplyAssign, cst.DivideAssign))
            gradient = node.target if scales else None
        if gradient is not None and _is_given(reading, gradient, hook, names):
            assert isinstance(node, (cst.Call, cst.AugAssign))
            yield node, gradient


def _clipped(reading: FileReading, node: cst.Call, is_about_clipping: bool) -> cst.BaseExpression | None:
    """What a call clips in place."""
    call = Call(node, reading)
    api = CLIPS.get(call.callee.api or "")
    if api is not None and api.value is not None:
        subject = call.argument(api.value.position, *api.value.keywords)
        out = call.argument(None, api.into) if api.into else None
        return subject.node.value if subject and api.in_place else out.node.value if out else None
    method = METHOD_CLIPS.get(call.method or "")
    rescales = is_about_clipping and call.method in RESCALING_METHODS
    if (method is not None and method.in_place) or rescales:
        return call.receiver.node if call.receiver and isinstance(call.receiver.node, cst.BaseExpression) else None
    return None


def _is_given(reading: FileReading, node: cst.CSTNode, hook: _Hook, names: frozenset[str]) -> bool:
    """Whether an expression is the very tensor that the hook is given, or one of the tuple that it is given."""
    while not isinstance(node, cst.Name):
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value in _SAME:
            node = node.func.value
        elif (isinstance(node, cst.Attribute) and node.attr.value in _SAME) or isinstance(node, cst.Subscript):
            node = node.value
        else:
            return False
    bindings = [b for b in reading.flow.reaching(node) if b.kind is not Kind.AUGMENT]
    if len(bindings) != 1:
        return False
    binding = bindings[0]
    if binding.kind is Kind.LOOP and isinstance(binding.value, cst.Name):
        return _is_given(reading, binding.value, hook, names)
    return binding.kind is Kind.PARAMETER and binding.scope.node is hook and binding.name in names


def _fact(
    reading: FileReading,
    registration: Call,
    hook: _Hook,
    clip: _Clip,
    gradient: cst.BaseExpression,
    on_module: bool,
) -> InPlaceHookClip:
    own = [n for n in reading.tree.below(hook.body) if isinstance(n, cst.Return) and reading.function(n) is hook]
    values = [node.value for node in own if node.value is not None and reading.text(node.value) != "None"]
    base = next(node for node in reading.tree.below(gradient) if isinstance(node, cst.Name))
    around = list(reading.tree.ancestors(clip))
    inside = around[: around.index(hook)]
    return InPlaceHookClip(
        at=reading.code(clip),
        gradient=reading.code(base if not on_module else gradient),
        function=hook if isinstance(hook, cst.FunctionDef) else None,
        registration=registration,
        on_module=on_module,
        out_of_place=_out_of_place(reading, clip, base, on_module),
        is_returned=isinstance(hook, cst.Lambda) or any(isinstance(above, cst.Return) for above in inside),
        is_statement=isinstance(clip, cst.AugAssign) or isinstance(reading.parent(clip), cst.Expr),
        returns_gradient=bool(values) and all(isinstance(v, cst.Name) and v.value == base.value for v in values),
        returns_nothing=isinstance(hook, cst.FunctionDef) and not values,
    )


def _out_of_place(reading: FileReading, clip: _Clip, gradient: cst.Name, on_module: bool) -> str | None:
    """`g.clamp(c)` for `g.data.clamp_(c)`, `torch.clamp(g, c)` for `torch.clamp_(g, c)`, `g * x` for `g *= x`.

    None where it cannot be written so.
    """
    if isinstance(clip, cst.AugAssign):
        sign = "*" if isinstance(clip.operator, cst.MultiplyAssign) else "/"
        value = reading.text(clip.value)
        is_simple = isinstance(clip.value, (cst.Name, cst.Attribute, cst.Call, cst.Integer, cst.Float, cst.Subscript))
        return (
            None if on_module else f"{gradient.value} {sign} {value if is_simple or clip.value.lpar else f'({value})'}"
        )
    function = reading.text(clip.func)
    if not function.endswith("_") or any(arg.keyword and arg.keyword.value == "out" for arg in clip.args):
        return None
    arguments = reading.text(clip).removeprefix(function)
    if reading.api(clip.func) is not None or on_module:
        return f"{function[:-1]}{arguments}"
    assert isinstance(clip.func, cst.Attribute)
    return f"{gradient.value}.{clip.func.attr.value[:-1]}{arguments}"
