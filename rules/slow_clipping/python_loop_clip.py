"""The elements of an array are clipped one by one in Python.

## What it does
Finds loops that walk through an array or tensor and only clip its elements: index loops with `if x[i] > c: x[i] = c`,
`min(max(v, lo), hi)` in a comprehension, `np.vectorize`, `map`, `tf.map_fn`.

## Why it is wrong
One vectorised clip does the same in one pass of compiled code. The loop makes a Python object for every element, which
is some hundred times slower; for a tensor on a GPU each access waits for the device, and in a graph each element
becomes operations of its own.

## Example
```python
pixels = np.array([min(max(v, 0.0), 1.0) for v in noisy])
```

## Use instead
```python
pixels = np.clip(noisy, 0.0, 1.0)
```

## Fix
Writes one clip of the array's own library, where the kind of the array is known and the loop's result is an array
again, or the loop writes into the whole array. Safe: the values are the same. Unsafe where the loop made a new torch
tensor out of numbers, and so cut the gradient that now flows. No fix where a list comes out.

## Not flagged
Scalars, lists, arrays of a few numbers, boxes, rewards; bounds that differ from element to element; loops that do more
than clip; loops over variables, parameters or gradients with one tensor operation each, which is right.

## Sources
https://numpy.org/doc/stable/reference/generated/numpy.vectorize.html (a loop for convenience, not for performance)
https://numpy.org/doc/stable/reference/generated/numpy.clip.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from clipcheck.edit import Fix, NeedImport, Replace, safe, unsafe
from clipcheck.finding import Finding
from clipcheck.model.code import Code, Spelling
from clipcheck.model.script import Script
from clipcheck.model.slow_clips import ElementwiseClip
from clipcheck.outline import Outline, Site, last_name
from clipcheck.outline.shapes import value_clips
from clipcheck.rule import Rule, Severity

_CLIP = {
    "numpy": ("numpy.clip", "numpy.maximum", "numpy.minimum"),
    "torch": ("torch.clamp", "torch.clamp", "torch.clamp"),
    "tensorflow": ("tensorflow.clip_by_value", "tensorflow.maximum", "tensorflow.minimum"),
    "keras": ("keras.ops.clip", "keras.ops.maximum", "keras.ops.minimum"),
}
"""How each library clips from both sides, from below and from above."""


_SHAPES = (
    rb"m(?:in|ax)\s*\((?:[^()]*,)?\s*m(?:in|ax)\s*\(",  # min(max(v, low), high)
    # if x[i] > high: x[i] = high
    rb"if[\s(][^\n:]{0,200}[<>][^\n:]{0,200}:(?:\s|#[^\n]*\n)*[\w.]+\[[^\n=]{0,200}\]\s*=",
    rb"if[\s(][^\n:]{0,200}[<>]=?\s*(?P<bound>[-\w.]+)\)?\s*:(?:\s|#[^\n]*\n)*return\s+\(?(?P=bound)\b",
)
_CONDITIONAL = rb"if[\s(]+([\w.()]+)\s*[<>]=?\s*([-\w.()]+)\s+else\b"


class PythonLoopClip(Rule):
    code = "CLP401"
    name = "python-loop-clip"
    screen = (rb"numpy|torch|tensorflow|keras|jax", (rb"clip|clamp|vectorize", *_SHAPES, _CONDITIONAL))
    severity = Severity.WARNING
    why = (
        "A loop in Python touches one element at a time and makes an object for each: some hundred times slower than "
        "one vectorised clip, and on a GPU every element waits for the device."
    )
    advice = "Clip the whole array with one call."

    def candidate(self, outline: Outline) -> bool:
        if outline.has(rb"vectorize") and any(site.call.args for site in outline.calls({"vectorize"})):
            return True
        if outline.has(rb"clip|clamp") and any(_may_be_of_element(clip.site, outline) for clip in value_clips(outline)):
            return True
        shapes = [shape for shape in _SHAPES if outline.has(shape)]
        shapes += [_CONDITIONAL] if _has_conditional(outline) else []
        return any(_may_clip_elements(node) for shape in shapes for node in outline.nodes_at(shape))

    def check(self, script: Script) -> Iterator[Finding]:
        for loop in script.all(ElementwiseClip):
            walked = f"`{loop.array.words}`" if loop.array is not None else "an array"
            yield self.finding(
                loop.code,
                f"{walked} is clipped one element at a time, by `{loop.element.words}`",
                fix=self.fix(loop),
            )

    def fix(self, loop: ElementwiseClip) -> Fix | None:
        array = loop.array
        if loop.replaced is None or array is None or loop.library not in _CLIP:
            return None
        clip = self.clip(loop, array)
        text = f"{array.text}[:] = {clip.text}" if loop.in_place else clip.text
        return (unsafe if loop.detaches else safe)(
            f"Write `{' '.join(text.split())}`",
            Replace(loop.replaced.node, text + loop.comment),
            *(NeedImport(module, name) for module, name in clip.imports),
        )

    def clip(self, loop: ElementwiseClip, array: Code) -> Spelling:
        both, below, above = _CLIP[loop.library]
        api = both if loop.low and loop.high else below if loop.low else above
        spelled = loop.code.spell(api)
        bounds = [bound.text for bound in (loop.low, loop.high) if bound is not None]
        if loop.library == "torch" and len(bounds) == 1:
            bounds = [f"{'min' if loop.low else 'max'}={bounds[0]}"]
        return Spelling(f"{spelled.text}({', '.join([array.text, *bounds])})", spelled.imports)


_FAR = 80


def _has_conditional(outline: Outline) -> bool:
    """`high if v > high else v`."""
    for found in outline.finditer(_CONDITIONAL):
        before = outline.data[max(0, found.start() - _FAR) : found.start()].rstrip(b") \t\r\n\\")
        if any(before.endswith(side.strip(b"()")) for side in found.groups()):
            return True
    return False


def _may_be_of_element(site: Site, outline: Outline) -> bool:
    """Whether a clip may be that of one element after the other."""
    parent = site.parent
    if isinstance(parent, (ast.ListComp, ast.GeneratorExp, ast.Lambda)):
        return True
    if isinstance(parent, ast.Return):
        function = site.function
        return function is not None and _takes_one(function) and outline.has(rb"\bfor\b|\bmap|unstack|unbind")
    is_appended = isinstance(parent, ast.Call) and last_name(parent.func) == "append"
    is_stored = isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Subscript)
    return (is_appended or is_stored) and any(isinstance(above, (ast.For, ast.AsyncFor)) for above in site.above)


def _may_clip_elements(node: ast.AST) -> bool:
    """Whether a walk through something, or a function of one number, may clip each element."""
    if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
        return _may_be_clip(node.elt)
    if isinstance(node, ast.Lambda):
        return _may_be_clip(node.body)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return _takes_one(node) and _may_clip_parameter(node.body)
    if not isinstance(node, ast.For):
        return False
    statements = node.body
    if len(statements) == 1 and isinstance(statements[0], ast.Expr) and isinstance(statements[0].value, ast.Call):
        return any(map(_may_be_clip, statements[0].value.args))
    return all(map(_may_store_bound, statements))


def _takes_one(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return len(function.args.posonlyargs) + len(function.args.args) == 1


def _may_be_clip(node: ast.expr) -> bool:
    """`min(max(v, low), high)`, or `low if v < low else v`."""
    if isinstance(node, ast.IfExp):
        return _is_bound(node.body, node.test)
    if not isinstance(node, ast.Call) or last_name(node.func) not in ("min", "max"):
        return False
    return any(isinstance(inner, ast.Call) and last_name(inner.func) in ("min", "max") for inner in node.args)


def _is_bound(node: ast.expr | None, test: ast.expr) -> bool:
    """Whether a test compares something with just this value, or with a name that may stand for it."""
    if node is None or not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return False
    if not isinstance(test.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE)):
        return False
    sides = [test.left, *test.comparators]
    if _is_constant(node) or ast.unparse(node) in map(ast.unparse, sides):
        return True
    return isinstance(node, (ast.Name, ast.Attribute)) and any(map(_is_constant, sides))


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id.isupper())


def _may_store_bound(statement: ast.stmt) -> bool:
    """`if x[i] > high: x[i] = high`, or `x[i] = min(max(x[i], low), high)`."""
    if isinstance(statement, ast.If):
        only = statement.body[0]
        return len(statement.body) == 1 and _stores(only) and _is_bound(getattr(only, "value", None), statement.test)
    return _stores(statement) and _may_be_clip(getattr(statement, "value", ast.Constant(None)))


def _stores(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript)


def _may_clip_parameter(statements: list[ast.stmt]) -> bool:
    for statement in statements:
        if isinstance(statement, ast.Return) and statement.value is not None and _may_be_clip(statement.value):
            return True
        if isinstance(statement, ast.If) and isinstance(statement.body[0], ast.Return):
            return _is_bound(statement.body[0].value, statement.test)
    return False
