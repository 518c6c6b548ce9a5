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
from collections.abc import Iterator
from itertools import pairwise

from clipcheck.edit import Edit, Fix, NeedImport, Replace, safe, unsafe
from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.model.slow_clips import NumpyInGraph
from clipcheck.outline import Outline, last_name
from clipcheck.outline.constants import sources
from clipcheck.outline.shapes import Clip, value_clips
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


_TRACING = frozenset({"function"})
_METHODS = frozenset({"call", "__call__", "forward", "backward", "train_step", "test_step"})


def _may_be_in_graph(clip: Clip, outline: Outline) -> bool:
    """Whether it may take something to NumPy in a function that a framework runs."""
    above = list(clip.site.above)
    if not any(_may_be_traced(node, parent, outline) for node, parent in pairwise(above)):
        return False
    if clip.may_be_of_numpy(outline):
        return True
    made = sources(outline, clip.subject) if outline.has(rb"numpy\s*\(") else []
    return any(isinstance(node, ast.Call) and last_name(node.func) == "numpy" for node in made)


def _may_be_traced(node: ast.AST, parent: ast.AST, outline: Outline) -> bool:
    if isinstance(node, ast.Lambda):
        return isinstance(parent, (ast.Call, ast.keyword))
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    decorators = {last_name(getattr(decorator, "func", decorator)) for decorator in node.decorator_list}
    if decorators & outline.aliases(_TRACING):
        return True
    return node.name in _METHODS or [a.arg for a in node.args.args[:1]] == ["y_true"]
