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

import re
from collections.abc import Iterator

from clipcheck.edit import Edit, Fix, NeedImport, Replace, safe, unsafe
from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.model.slow_clips import NumpyInGraph
from clipcheck.rule import Rule

_CLIP = {"torch": "torch.clamp", "tensorflow": "tensorflow.clip_by_value", "keras": "keras.ops.clip"}


class NumpyClipInGraph(Rule):
    code = "CLP402"
    name = "numpy-clip-in-graph"
    screen = re.compile(
        rb"(?s)\A(?=.*numpy)(?=.*(?:\.\s*clip\b|import[^\n]{0,200}\bclip\b|numpy\s*\(\s*\)))"
        rb"(?=.*clip)(?=.*(?:def\s+(?:call|__call__|forward|train_step|test_step)\b|@[\w.]*function\b|compile\s*\())"
    )
    why = (
        "NumPy knows neither graphs nor gradients: the line raises while the framework traces the model, or for a "
        "tensor that requires a gradient; run eagerly, what lies before the clip does not learn."
    )
    advice = "Clip with the framework's own function: `keras.ops.clip`, `tf.clip_by_value`, `torch.clamp`."

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
