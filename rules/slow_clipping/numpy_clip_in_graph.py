"""A tensor is clipped by NumPy inside a layer, a loss, a `tf.function` or a `forward`.

## What it does
Finds `np.clip` of tensors, and clips of `tensor.numpy()`, in code that the framework traces or differentiates: the
`call` of a Keras layer, model or constraint, a loss that is compiled into a model, a `tf.function`, the `forward` of a
torch module.

## Why it is wrong
NumPy knows neither graphs nor gradients. While Keras traces the model the tensor has no values yet: NotImplementedError
at the first `fit`. Run eagerly, the gradient ends at the clip, and what lies before it does not learn. torch raises a
RuntimeError for a tensor that requires a gradient.

## Example
```python
class Squash(keras.layers.Layer):
    def call(self, inputs):
        return np.clip(inputs, 0.0, 1.0)
```

## Use instead
```python
    def call(self, inputs):
        return keras.ops.clip(inputs, 0.0, 1.0)
```

## Fix
Writes `keras.ops.clip`, `tf.clip_by_value` or `torch.clamp`, whichever the class belongs to. Safe: the line raised
before. Unsafe where the file asks for eager execution, or cuts the gradient itself (`.detach().numpy()`), because
training then goes another way.

## Not flagged
`np.clip` of NumPy arrays and constants; metrics, losses and helpers that nothing compiles into a model; pre- and
post-processing; `torch.no_grad()`; `torch.autograd.Function`, which writes its own backward pass.

## Sources
https://keras.io/api/ops/numpy/#clip-function
https://www.tensorflow.org/guide/function
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from clipcheck.edit import Edit, Fix, NeedImport, Replace, safe, unsafe
from clipcheck.finding import Finding
from clipcheck.frameworks.keras import CONSTRAINTS
from clipcheck.frameworks.names import last_names
from clipcheck.model.script import Script
from clipcheck.model.slow_clips import NumpyInGraph
from clipcheck.outline import Outline, Site, last_name, walk
from clipcheck.outline.classes import pieces
from clipcheck.outline.shapes import Clip, may_be_module, may_be_of, value_clips
from clipcheck.rule import Rule

_CLIP = {"torch": "torch.clamp", "tensorflow": "tensorflow.clip_by_value", "keras": "keras.ops.clip"}


class NumpyClipInGraph(Rule):
    code = "CLP402"
    name = "numpy-clip-in-graph"
    screen = (rb"clip|clamp", rb"numpy", rb"torch|tensorflow|keras")
    why = (
        "NumPy knows neither graphs nor gradients: the line raises while the framework traces the model, or for a "
        "tensor that requires a gradient; run eagerly, what lies before the clip does not learn."
    )
    advice = "Clip with the framework's own function: `keras.ops.clip`, `tf.clip_by_value`, `torch.clamp`."

    def candidate(self, outline: Outline) -> bool:
        has_place = outline.has(rb"y_true|Lambda") or outline.has(_PLACE) or outline.has(rb"tensorflow")
        if not has_place or not (outline.has(_LEAVES) or outline.has(_numpy_clip(outline))):
            return False
        return any(_may_be_in_graph(clip, outline) for clip in value_clips(outline) if not clip.in_place)

    def check(self, script: Script) -> Iterator[Finding]:
        for clip in script.all(NumpyInGraph):
            words = f"`{clip.clip.call.words}` takes `{clip.tensor.words}` to NumPy inside {clip.place}"
            ends = "its gradient ends there" if clip.detached or clip.eager else "the graph ends there"
            yield self.finding(
                clip.clip.call, f"{words}: {ends}", fix=self.fix(clip, script.targets.saves_like_keras_2)
            )

    def fix(self, found: NumpyInGraph, keras_2: bool) -> Fix | None:
        low, high = found.clip.low, found.clip.high
        if found.replaced is None or (found.framework == "keras" and keras_2) or "#" in found.replaced.text:
            return None
        bounds = [bound.code.text for bound in (low, high) if bound is not None]
        if len(bounds) == 1:
            if found.framework != "torch":
                return None
            bounds = [f"{'min' if low is not None else 'max'}={bounds[0]}"]
        if len(found.clip.call.arguments) > len(bounds) + 1:
            return None
        spelled = found.clip.call.spell(_CLIP[found.framework])
        text = f"{spelled.text}({', '.join([found.tensor.text, *bounds])})"
        edits: list[Edit] = [Replace(found.replaced.node, text)]
        edits += [NeedImport(module, name) for module, name in spelled.imports]
        return (unsafe if found.detached or found.eager else safe)(f"Write `{' '.join(text.split())}`", *edits)


_PLACE = rb"def\s+(?:call|__call__|forward|train_step|test_step)\b"
_LEAVES = rb"\.\s*numpy\s*\("
_KEPT_OUT = frozenset({"detach", "cpu", "data", "numpy", "clone"})
_TRACING, _LAYER = frozenset({"function"}), frozenset({"Lambda"})
_METHODS = frozenset({"call", "forward", "train_step", "test_step"})
_CALLED = last_names(CONSTRAINTS, {"Loss", "Constraint"})


def _numpy_clip(outline: Outline) -> bytes:
    """A pattern for NumPy's clip, under the names that the file has for NumPy."""
    names = frozenset({"numpy", *outline.found(rb"numpy\s+as\s+(\w+)")})
    if outline.has(rb"=[\s(\\]*(?:%s)[ \t)]*(?:[;#\r\n]|\Z)" % _either(names)):
        names = outline.aliases(names)
    return rb"(?:%s)\s*\.\s*clip\b|from\s+numpy\s+import\b" % _either(names)


def _either(names: frozenset[str]) -> bytes:
    return b"|".join(name.encode() for name in sorted(names))


def _may_be_in_graph(clip: Clip, outline: Outline) -> bool:
    """Whether it may take something to NumPy in a function that a framework runs."""
    if not any(_may_be_traced(node, parent, outline) for node, parent in pairwise(clip.site.above)):
        return False
    if clip.library == "numpy" and _may_be_tensor(clip.subject, outline) and outline.has(_numpy_clip(outline)):
        return True
    return outline.has(_LEAVES) and _may_leave(clip.subject, clip.site, outline)


def _may_be_tensor(node: ast.expr, outline: Outline) -> bool:
    """Whether it may be a tensor, or left the graph as the last thing; what is calculated with arrays is none."""
    if not isinstance(node, ast.BinOp):
        return True
    operands = [each for each in (node.left, node.right) if not isinstance(each, ast.Constant)]
    return any(not _is_array(each, outline) and _may_be_tensor(each, outline) for each in operands)


def _is_array(node: ast.expr, outline: Outline) -> bool:
    """Whether it is surely an array, or at least no tensor: what `.numpy()` or NumPy's functions return."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    if not may_be_module(node.func, outline):
        return node.func.attr == "numpy" and "numpy" not in outline.defined
    return not any(may_be_of(library, node.func, outline) for library in ("torch", "tensorflow", "keras"))


def _may_be_traced(node: ast.AST, parent: ast.AST, outline: Outline) -> bool:
    if isinstance(node, ast.Lambda):
        is_given = isinstance(parent, ast.keyword) and outline.has(rb"Lambda")
        return is_given or (isinstance(parent, ast.Call) and last_name(parent.func) in outline.aliases(_LAYER))
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    decorators = {last_name(getattr(decorator, "func", decorator)) for decorator in node.decorator_list}
    if decorators and decorators & outline.aliases(_TRACING):
        return True
    if node.name in _METHODS or (node.name == "__call__" and outline.once(_has_callable)):
        return True
    return [each.arg for each in (*node.args.posonlyargs, *node.args.args)][:2] == ["y_true", "y_pred"]


def _has_callable(outline: Outline) -> bool:
    """Whether the file may have a constraint or a loss, which are called like functions."""
    names = re.compile(rb"\b(?:%s)\b" % _either(outline.aliases(_CALLED)))
    return any(names.search(piece.heads) for piece in pieces(outline))


def _may_leave(node: ast.expr, site: Site, outline: Outline) -> bool:
    """Whether `.numpy()` may be one of the steps that lead out of the graph, also through names."""
    assigned = [
        each for each in walk([*site.above][-1]) if isinstance(each, (ast.Assign, ast.AnnAssign, ast.NamedExpr))
    ]
    seen: set[str] = set()
    todo = [node]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Attribute) and node.attr == "data":
            todo.append(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _KEPT_OUT:
            if node.func.attr == "numpy":
                return True
            todo.append(node.func.value)
        elif isinstance(node, ast.Name) and node.id not in seen:
            seen.add(node.id)
            values = [each.value for each in assigned if each.value is not None and node.id in _bound(each)]
            if not values and outline.has(rb"^%s\s*=[^=]" % node.id.encode(), re.MULTILINE):
                return True
            todo += values
    return False


def _bound(statement: ast.Assign | ast.AnnAssign | ast.NamedExpr) -> set[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}
