"""A gradient hook clips in place, and with it gradients that share the tensor.

## What it does
Finds `register_hook` and `register_full_backward_hook` hooks that clamp or rescale in place the gradient that
they are given.

## Why it is wrong
During the backward pass one tensor often is the gradient of several parameters and activations. A hook that changes it
in place changes theirs too, silently, or fails where the tensor is an expanded view. Torch's documentation says that
a hook must not change its argument, and takes the gradient that it returns instead.

## Example
```python
for p in model.parameters():
    p.register_hook(lambda grad: grad.clamp_(-1.0, 1.0))
```

## Use instead
```python
for p in model.parameters():
    p.register_hook(lambda grad: grad.clamp(-1.0, 1.0))
```

## Fix
Clips out of place and returns the result. Unsafe: gradients that were changed along the way no longer are. Manual for a
module's hook that returns nothing: it must return a tuple of new gradients.

## Not flagged
Hooks that clip out of place or clip a copy; `register_post_accumulate_grad_hook`, where changing `p.grad` in place is
right.

## Sources
https://pytorch.org/docs/stable/generated/torch.Tensor.register_hook.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeAlias

from clipcheck.edit import AppendToBody, Fix, Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.frameworks import CLIPS, METHOD_CLIPS
from clipcheck.frameworks.torch import RESCALING_METHODS
from clipcheck.model.hooks import InPlaceHookClip
from clipcheck.model.script import Script
from clipcheck.outline import Outline, last_name, walk
from clipcheck.outline.shapes import names_in
from clipcheck.rule import Rule, note


class InPlaceGradientHook(Rule):
    code = "CLP214"
    name = "in-place-gradient-hook"
    screen = (
        rb"register_hook|backward_hook",
        (rb"clip_|clamp_|mul_|div_|out=|/=", rb"\*=|\bout\s*="),
    )
    why = (
        "During the backward pass one tensor may be the gradient of several parameters: a hook that changes it in "
        "place changes them all, or fails where it is an expanded view."
    )
    advice = "Clip out of place and return the result: torch takes it in the gradient's place."

    def candidate(self, outline: Outline) -> bool:
        names = outline.aliases(_IN_PLACE)
        called = rb"\b(?:%s)\s*\(" % b"|".join(name.encode() for name in names)
        nodes = (node for pattern in (called, *_CHANGES) for node in outline.nodes_at(pattern))
        functions = {node for node in nodes if isinstance(node, _FUNCTIONS)}
        return any(_may_be_handed_on(node, outline) and _changes_given(node, names) for node in functions)

    def check(self, script: Script) -> Iterator[Finding]:
        for clip in script.all(InPlaceHookClip):
            evidence = (
                [] if clip.at.inside(clip.registration) else [note(clip.registration, "registered as a hook here")]
            )
            yield self.finding(
                clip.at,
                f"`{clip.at.words}` changes the gradient `{clip.gradient.words}` in place inside a hook",
                evidence=evidence,
                fix=_fix(clip),
            )


def _fix(clip: InPlaceHookClip) -> Fix | None:
    if clip.out_of_place is None:
        return None
    message = "Clip the gradient out of place"
    if clip.is_returned:
        return unsafe(message, Replace(clip.at.node, clip.out_of_place))
    if clip.on_module or not clip.is_statement:
        return None
    name = clip.gradient.text
    assigned = Replace(clip.at.statement.node, f"{name} = {clip.out_of_place}")
    if clip.returns_gradient:
        return unsafe(message, assigned)
    if clip.function is not None and clip.returns_nothing:
        return unsafe(f"{message} and return it", assigned, AppendToBody(clip.function, f"return {name}"))
    return None


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_IN_PLACE = RESCALING_METHODS | {
    name.rpartition(".")[2] for name, api in (*CLIPS.items(), *METHOD_CLIPS.items()) if api.in_place
}
_CHANGES = (rb"\bout\s*=", rb"[*/]=")
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def _may_be_handed_on(function: _Function, outline: Outline) -> bool:
    """Whether anything mentions a function without calling it."""
    return isinstance(function, ast.Lambda) or outline.has(rb"\b%s\b(?!\s*\()" % function.name.encode())


def _changes_given(function: _Function, names: frozenset[str]) -> bool:
    """Whether a function changes in place what it is given, or what it loops over."""
    given = {argument.arg for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)}
    given |= {name for node in walk(function) if isinstance(node, ast.For) for name in names_in(node.target)}
    return any(_base(changed) in given for node in walk(function) for changed in _changed(node, names))


def _changed(node: ast.AST, names: frozenset[str]) -> list[ast.expr]:
    """What may be changed in place."""
    if isinstance(node, ast.AugAssign):
        return [node.target] if isinstance(node.op, (ast.Mult, ast.Div)) else []
    if not isinstance(node, ast.Call):
        return []
    out = [keyword.value for keyword in node.keywords if keyword.arg == "out"]
    if last_name(node.func) not in names:
        return out
    receiver = [node.func.value] if isinstance(node.func, ast.Attribute) else []
    return [*out, *receiver, *node.args, *(keyword.value for keyword in node.keywords)]


def _base(node: ast.expr) -> str:
    """`g` for `g`, `g[0].data` and `g.detach()`."""
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, (ast.Attribute, ast.Subscript)):
            node = node.value
        else:
            return ""
    return node.id
