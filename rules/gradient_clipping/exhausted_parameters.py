"""An iterator of parameters is used up before the clip gets to it.

## What it does
Finds `model.parameters()`, `filter(...)`, `itertools.chain(...)` and generator expressions that are kept under a name,
walked by the optimizer (or by a loop's first pass), and then handed to a gradient clip or a moving average. Also
helpers of the same file that walk their argument twice and are given such an iterator.

## Why it is wrong
Such an iterator can be walked once. The optimizer keeps a list of what it gets; whoever comes next finds nothing.
`clip_grad_norm_` of nothing returns 0 (with a warning in newer versions) and clips nothing, an average of nothing
never moves.

## Example
```python
trainable = filter(lambda p: p.requires_grad, model.parameters())
optimizer = torch.optim.AdamW(trainable, lr=1e-4)
for batch in loader:
    loss_of(model, batch).backward()
    torch.nn.utils.clip_grad_norm_(trainable, 1.0)
    optimizer.step()
```

## Use instead
```python
trainable = list(filter(lambda p: p.requires_grad, model.parameters()))
optimizer = torch.optim.AdamW(trainable, lr=1e-4)
for batch in loader:
    loss_of(model, batch).backward()
    torch.nn.utils.clip_grad_norm_(trainable, 1.0)
    optimizer.step()
```

## Fix
Makes a list where the iterator is made. Unsafe: from then on the gradients are clipped.

## Not flagged
An iterator made anew right before the clip; one that only the optimizer, or only one clip, walks; lists and tuples;
an iterator whose first walk is in another file, or in a branch that may not run.

## Sources
https://docs.python.org/3/glossary.html#term-generator-iterator
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from clipcheck.edit import Fix, Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.model.code import Call, Code
from clipcheck.model.gradients import ExhaustedIterator
from clipcheck.model.script import Script
from clipcheck.rule import Rule, note


class ExhaustedParameters(Rule):
    code = "CLP205"
    name = "exhausted-parameters"
    screen = re.compile(rb"clip_grad|\.grad\.")
    why = (
        "An iterator can be walked once. Whoever walks it afterwards finds nothing in it, and no error says so: a clip "
        "of nothing clips nothing."
    )
    advice = "Keep a list: `list(...)` where the iterator is made."

    def check(self, script: Script) -> Iterator[Finding]:
        for iterator in script.all(ExhaustedIterator):
            for maker in () if iterator.is_argument else iterator.makers:
                yield self.of_maker(iterator, maker)
            for place in iterator.empty:
                yield self.of_use(iterator, place)

    def of_maker(self, iterator: ExhaustedIterator, maker: Code) -> Finding:
        """Where it is made, and can be mended."""
        lines = [place.line for place in iterator.empty]
        used_up = "the first pass of the loop" if iterator.comes_round else f"`{iterator.walker.words}`"
        again = f"(line {lines[0]}) uses it up" if iterator.comes_round else f"(line {iterator.walker.line}) uses it up"
        return self.finding(
            maker,
            f"`{iterator.name.words}` can be walked once: {used_up} {again}, and nothing is left for "
            f"{_lines(lines)}{' from then on' if iterator.comes_round else ''}",
            evidence=[note(place, "finds nothing here") for place in iterator.empty],
            fix=_listed(iterator),
        )

    def of_use(self, iterator: ExhaustedIterator, place: Code) -> Finding:
        """Where it is empty."""
        what = f"`{place.words}`" if isinstance(place, Call) else f"The loop over `{place.words}`"
        made = iterator.makers[0]
        if iterator.comes_round:
            words = f"the first pass of the loop uses up the iterator made in line {made.line}"
        else:
            words = f"line {iterator.walker.line} uses up the iterator made in line {made.line}"
        return self.finding(
            place,
            f"{what} finds no parameters{' after the first time' if iterator.comes_round else ''}: {words}",
            evidence=[note(made, "made here"), note(iterator.walker, "used up here")],
            fix=_listed(iterator),
        )


def _listed(iterator: ExhaustedIterator) -> Fix:
    return unsafe(
        f"Make `{iterator.name.words}` a list",
        *(Replace(listed.place.node, listed.code) for listed in iterator.listed),
    )


def _lines(lines: list[int]) -> str:
    numbers = [str(line) for line in lines]
    return f"line {numbers[0]}" if len(numbers) == 1 else f"lines {', '.join(numbers[:-1])} and {numbers[-1]}"
