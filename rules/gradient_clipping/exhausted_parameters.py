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

import ast
from collections.abc import Iterator

from clipcheck.edit import Fix, Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.model.code import Call, Code
from clipcheck.model.gradients import ExhaustedIterator
from clipcheck.model.script import Script
from clipcheck.outline import Outline, Site, last_name, walk
from clipcheck.outline.origins import given
from clipcheck.rule import Rule, note


class ExhaustedParameters(Rule):
    code = "CLP205"
    name = "exhausted-parameters"
    screen = (rb"grad", rb"clip_grad|\.grad\.")
    why = (
        "An iterator can be walked once. Whoever walks it afterwards finds nothing in it, and no error says so: a clip "
        "of nothing clips nothing."
    )
    advice = "Keep a list: `list(...)` where the iterator is made."

    def candidate(self, outline: Outline) -> bool:
        if outline.has(_CHANGED) and any(_may_find_empty(node, outline) for node in outline.nodes_at(_CHANGED)):
            return True
        return any(
            _may_walk_iterator(target, outline) and _may_be_walked_before(target, site)
            for site in outline.calls(_CLIPS)
            if (target := site.argument(0, "parameters")) is not None
        )

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


_CLIPS = frozenset({"clip_grad_norm", "clip_grad_norm_", "clip_grad_value_"})
_ONE_SHOT = frozenset(
    "parameters named_parameters buffers named_buffers filter map chain from_iterable iter zip enumerate modules "
    "children".split()
)
"""What makes an iterator that can be walked once."""


def _may_walk_iterator(target: ast.expr | None, outline: Outline) -> bool:
    """Whether something walks a name that may stand for such an iterator."""
    if isinstance(target, (ast.ListComp, ast.GeneratorExp)):
        return _may_walk_iterator(target.generators[0].iter, outline)
    if isinstance(target, ast.Call) and isinstance(target.func, ast.Name) and target.args:
        return _may_walk_iterator(target.args[-1], outline)
    if not isinstance(target, (ast.Name, ast.Attribute)):
        return False
    seen = {last_name(target)}
    todo = list(seen)
    while todo:
        for value in (each for whole in given(outline, todo.pop()) for each in _chosen(whole)):
            if isinstance(value, ast.GeneratorExp) or (isinstance(value, ast.Call) and _may_make_one(value, outline)):
                return True
            if isinstance(value, (ast.Name, ast.Attribute)) and last_name(value) not in seen:
                seen.add(last_name(value))
                todo.append(last_name(value))
    return False


def _may_make_one(call: ast.Call, outline: Outline) -> bool:
    name = last_name(call.func)
    return name in _ONE_SHOT or (bool(name) and outline.has(rb"\bdef\s+%s\b" % name.encode()))


def _may_be_walked_before(target: ast.expr, site: Site) -> bool:
    """Whether something else may have walked a name, or the clip itself in the pass of a loop before."""
    if not isinstance(target, ast.Name):
        return True
    function = site.function
    same = [node for node in walk(site.home) if isinstance(node, ast.Name) and node.id == target.id]
    is_bound = any(isinstance(node.ctx, ast.Store) for node in same)
    is_parameter = function is not None and target.id in {
        each.arg for each in walk(function.args) if isinstance(each, ast.arg)
    }
    if len([node for node in same if isinstance(node.ctx, ast.Load)]) != 1 or not (is_bound or is_parameter):
        return True
    return is_bound and not _is_made_for(target.id, site)


def _is_made_for(name: str, site: Site) -> bool:
    """Whether a name that only the clip reads is given its value in each pass of the loop, or there is no loop."""
    around = [n for n in site.above if isinstance(n, (ast.For, ast.AsyncFor, ast.While, ast.FunctionDef, ast.Module))]
    made = [n.value for n in walk(around[0]) if isinstance(n, ast.Assign) and name in _bound(n)] if around else []
    return bool(made) and not any(
        isinstance(each, (ast.Name, ast.Attribute)) for value in made for each in _chosen(value)
    )


def _bound(assign: ast.Assign) -> set[str]:
    return {target.id for target in assign.targets if isinstance(target, ast.Name)}


def _chosen(value: ast.expr) -> list[ast.expr]:
    """What a value may be, one branch or the other."""
    return [*_chosen(value.body), *_chosen(value.orelse)] if isinstance(value, ast.IfExp) else [value]


_CHANGED = rb"\.grad\.[\w.()]*(?:mul|div|clamp|clip)\w*_\s*\("


def _may_find_empty(node: ast.AST, outline: Outline) -> bool:
    """`for p in params: p.grad.mul_(…)`, where `params` may be an iterator."""
    if not isinstance(node, ast.For) or not isinstance(node.iter, ast.Name) or not isinstance(node.target, ast.Name):
        return False
    return _may_walk_iterator(node.iter, outline)
