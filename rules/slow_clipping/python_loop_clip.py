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
than clip; loops over variables, parameters or gradients with one tensor operation each, which is right; what a test
compares with.

## Sources
https://numpy.org/doc/stable/reference/generated/numpy.vectorize.html (a loop for convenience, not for performance)
https://numpy.org/doc/stable/reference/generated/numpy.clip.html
"""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.edit import Fix, NeedImport, Replace, safe, unsafe
from clipcheck.finding import Finding
from clipcheck.model.code import Code, Spelling
from clipcheck.model.script import Script
from clipcheck.model.slow_clips import ElementwiseClip
from clipcheck.outline import Outline
from clipcheck.outline.elementwise import SHAPES, may_clip_elements
from clipcheck.rule import Rule, Severity

_CLIP = {
    "numpy": ("numpy.clip", "numpy.maximum", "numpy.minimum"),
    "torch": ("torch.clamp", "torch.clamp", "torch.clamp"),
    "tensorflow": ("tensorflow.clip_by_value", "tensorflow.maximum", "tensorflow.minimum"),
    "keras": ("keras.ops.clip", "keras.ops.maximum", "keras.ops.minimum"),
}
"""How each library clips from both sides, from below and from above."""


class PythonLoopClip(Rule):
    code = "CLP401"
    name = "python-loop-clip"
    screen = (rb"numpy|torch|tensorflow|keras|jax", (rb"clip|clamp|vectorize", *SHAPES))
    severity = Severity.WARNING
    why = (
        "A loop in Python touches one element at a time and makes an object for each: some hundred times slower than "
        "one vectorised clip, and on a GPU every element waits for the device."
    )
    advice = "Clip the whole array with one call."

    def candidate(self, outline: Outline) -> bool:
        return may_clip_elements(outline)

    def check(self, script: Script) -> Iterator[Finding]:
        for loop in script.all(ElementwiseClip):
            if _is_in_test(loop.code):
                continue
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


def _is_in_test(code: Code) -> bool:
    """Whether it is what a test compares the quick way with."""
    function = code.function
    return function is not None and (function.defines or "").startswith("test")
