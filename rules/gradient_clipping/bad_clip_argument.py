"""A clip argument that raises, is ignored, or does harm.

## What it does
Finds arguments that cannot bound gradients: two of `clipnorm`, `clipvalue` and `global_clipnorm` on one Keras
optimizer; misspelt ones (`clip_value=`), tuples and strings; clip arguments given to `compile()`; bounds of zero and
below; and `optimizer.clipvalue = …` set when training has begun.

## Why it is wrong
Keras raises for two of them, for names that it does not know, and at the first step for what is no number. A bound of
zero or below is worse, since nothing is said: Keras clips nothing then, torch turns all gradients to zero, or, with a
negative norm, around, so that training climbs. An attribute that is set after the first `fit` is not read again: the
compiled step holds the old value.

## Example
```python
optimizer = keras.optimizers.Adam(1e-3, clip_value=0.5)
```

## Use instead
```python
optimizer = keras.optimizers.Adam(1e-3, clipvalue=0.5)
```

## Fix
Safe, as the code raised: the right spelling where there is no doubt which is meant; `c` for `(-c, c)`.
Unsafe: of two arguments the norm is kept (older versions of Keras apply both); arguments of `compile()` move to the
optimizer. Manual for bounds of zero and below, whose meaning only the author knows, and for late attributes.

## Not flagged
Arguments that may be None, that are forwarded, or that are defaults of options and parameters; bounds that the script
compares with something first, or that a comment says are meant; `max_norm=inf`, which measures the norm; errors that a
test expects; the legacy optimizers and `target-keras = "2"`, which take two arguments.

## Sources
https://keras.io/api/optimizers/ and https://pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from clipcheck.edit import AddArgument, DropArgument, Fix, NeedImport, Replace, safe, unsafe
from clipcheck.finding import Finding
from clipcheck.frameworks import OPTIMIZERS
from clipcheck.frameworks.keras import CLIP_ARGUMENTS, MISSPELT_CLIP_ARGUMENTS
from clipcheck.frameworks.names import last_names
from clipcheck.model.bounds import ClipThreshold, CompileCall, LateSetting, OptimizerCall
from clipcheck.model.code import Argument
from clipcheck.model.script import Script
from clipcheck.model.value import Constant, Items
from clipcheck.outline import Outline, Site, last_name, walk
from clipcheck.outline.constants import may_be
from clipcheck.outline.order import CLIPS_OF_GRADIENTS
from clipcheck.outline.origins import sources
from clipcheck.rule import Rule, note

_TORCH_ADVICE = "Call `torch.nn.utils.clip_grad_norm_` or `clip_grad_value_` between `backward()` and `step()`."


class BadClipArgument(Rule):
    code = "CLP208"
    name = "bad-clip-argument"
    screen = (
        rb"clip|max_norm|max_grad_norm",
        (
            rb"clipnorm|clipval|clip_norm|clip_val|clip_grad|grad_clip|gradient_clip|clip_by|global_clip|max_norm"
            rb"|max_grad_norm|clip=|clipping=",
            rb"clip(?:ping)?\s+=",
        ),
    )
    why = "The optimizer refuses the argument: the script stops with an error before it trains."
    advice = "Give a Keras optimizer exactly one of `clipnorm`, `clipvalue` and `global_clipnorm`."

    def candidate(self, outline: Outline) -> bool:
        if outline.has(_ARGUMENT) and any(_may_be_wrong(node, outline) for node in outline.nodes_at(_ARGUMENT)):
            return True
        return any(_may_be_powerless(site, outline) for site in outline.calls(CLIPS_OF_GRADIENTS))

    def check(self, script: Script) -> Iterator[Finding]:
        for optimizer in script.all(OptimizerCall):
            if not optimizer.expects_error:
                yield from self.misspelt(optimizer)
                if not optimizer.is_legacy and not script.targets.keras_2:
                    yield from self.doubled(optimizer)
        for compiled in script.all(CompileCall):
            yield self.misplaced(compiled)
        for bound in script.all(ClipThreshold):
            yield from self.powerless(bound)
        for setting in script.all(LateSetting):
            yield self.late(setting)

    def misspelt(self, optimizer: OptimizerCall) -> Iterator[Finding]:
        for argument, right in optimizer.misspelt:
            message = f"`{optimizer.name}` takes no `{argument.keyword}=`"
            if optimizer.library == "torch":
                yield self.finding(argument, f"{message}: torch's optimizers do not clip", advice=_TORCH_ADVICE)
                continue
            fix = None
            if right and argument.label and not optimizer.clips and len(optimizer.misspelt) == 1:
                fix = safe(f"Call it `{right}=`", Replace(argument.label.node, right))
            yield self.finding(
                argument,
                f"{message}: did you mean `{right or 'clipnorm'}=`?",
                advice=f"It is called `{right}=`." if right else None,
                fix=fix,
            )

    def doubled(self, optimizer: OptimizerCall) -> Iterator[Finding]:
        given = optimizer.given
        if len(given) < 2:
            return
        names = " and ".join(f"`{clip.text}`" for clip in given)
        dropped = [clip for clip in given if clip.keyword == "clipvalue"]
        kept = [clip for clip in given if clip.keyword != "clipvalue"]
        fix = None
        if len(kept) == 1:
            drops = [DropArgument(optimizer.call.node, clip.node) for clip in dropped]
            fix = unsafe(f"Keep `{kept[0].text}` only", *drops)
        why = "Keras takes only one of `clipnorm`, `clipvalue` and `global_clipnorm`: with two it raises a ValueError."
        yield self.finding(optimizer.call, f"`{optimizer.name}` is given {names}", why=why, fix=fix)

    def misplaced(self, compiled: CompileCall) -> Finding:
        clip = compiled.clips[0]
        return self.finding(
            clip,
            f"`{clip.words}` is given to `{compiled.model.words}.compile`, which does not clip",
            why="`compile` does not know the argument and raises a TypeError: clipping is the optimizer's work.",
            advice=f"Give `{clip.keyword}=` to the optimizer.",
            fix=_moved(compiled),
        )

    def powerless(self, bound: ClipThreshold) -> Iterator[Finding]:
        value, words = bound.argument.code.value, f"`{bound.argument.words}`"
        if bound.library == "keras" and _is_no_number(value):
            why = "Keras compares the bound with a number at the first training step and raises a TypeError."
            advice = "Give the bound itself: `clipvalue=0.5` keeps every gradient in [-0.5, 0.5]."
            yield self.finding(bound.argument, f"{words} is no number", why=why, advice=advice, fix=_symmetric(bound))
        number = bound.argument.code.number
        if number is None or number > 0 or bound.is_weighed or (isinstance(value, Constant) and value.assumed):
            return
        if bound.library == "keras" and not bound.is_given_here:
            return
        if bound.argument.keyword is None:
            words = f"A bound of {words}"
        if not bound.is_given_here:
            words += f" ({number:g})"
        effect, why = _effect(bound, number)
        advice = "Give a bound above zero, or leave the argument out if nothing is to be clipped."
        if bound.library != "keras":
            advice = "Give a bound above zero, or leave the clip out."
        yield self.finding(bound.argument, f"{words} {effect}", why=why, advice=advice)

    def late(self, setting: LateSetting) -> Finding:
        return self.finding(
            setting.target,
            f"`{setting.target.words}` is set when training has begun: the compiled step does not see it",
            why="The first step compiles the training function with the bound of that time: what is set later is read "
            "on no backend but torch.",
            advice=f"Set `{setting.attribute}` before the first training call, or compile the model again.",
            evidence=[note(setting.began, "training has begun here")],
        )


def _is_no_number(value: object) -> bool:
    return isinstance(value, Items) or (isinstance(value, Constant) and isinstance(value.value, str))


def _symmetric(bound: ClipThreshold) -> Fix | None:
    """`c` for a `(-c, c)` that stands in the call."""
    value = bound.argument.code.value
    if not isinstance(value, Items) or len(value.elements) != 2 or bound.by != "value":
        return None
    low, high = value.elements
    if low.number is None or high.number is None or low.number != -high.number or high.number <= 0:
        return None
    if not high.inside(bound.argument):
        return None
    return safe(f"Bound by {high.text}", Replace(bound.argument.node, f"{bound.argument.keyword}={high.text}"))


def _effect(bound: ClipThreshold, number: float) -> tuple[str, str]:
    """What a bound that is not positive does, in the message's words and in a sentence of its own."""
    if bound.library == "keras":
        return "clips nothing", "Keras clips only where the bound is above zero: it drops this one without a word."
    if number == 0 or (bound.library == "tensorflow" and bound.by == "norm"):
        return "turns every gradient to zero", "All gradients are scaled to nothing: the parameters never move."
    if bound.library == "tensorflow":
        return "clips nothing", "`clip_by_global_norm` returns the gradients unchanged for a negative norm."
    if bound.by == "value":
        sets = f"Every gradient becomes {number:g}, whatever it was: both bounds are crossed."
        return f"sets every gradient to {number:g}", sets
    flips = "Gradients are scaled by a negative factor: each step climbs the loss instead of descending it."
    return "turns the gradients around", flips


def _moved(compiled: CompileCall) -> Fix | None:
    if len(compiled.clips) != 1:
        return None
    clip: Argument = compiled.clips[0]
    drop = DropArgument(compiled.call.node, clip.node)
    if compiled.made is not None:
        if any(
            argument.keyword in ("clipnorm", "clipvalue", "global_clipnorm") for argument in compiled.made.arguments
        ):
            return None
        return unsafe(f"Give `{clip.text}` to the optimizer", drop, AddArgument(compiled.made.node, clip.text))
    if compiled.by_name is None or compiled.optimizer is None:
        return None
    spelling = compiled.optimizer.spell(compiled.by_name)
    return unsafe(
        f"Give `{clip.text}` to the optimizer",
        drop,
        Replace(compiled.optimizer.node, f"{spelling.text}({clip.text})"),
        *(NeedImport(module, name) for module, name in spelling.imports),
    )


_NAMES = frozenset({*CLIP_ARGUMENTS, *MISSPELT_CLIP_ARGUMENTS})
_ARGUMENT = rb"\b(?:%s)\s*=(?!=)" % "|".join(sorted(_NAMES)).encode()
_OPTIMIZERS = last_names(OPTIMIZERS)
_TRAINS = rb"\.\s*(?:fit|train_on_batch|fit_generator)\b|on_(?:epoch|batch|train_batch)_end"


def _may_be_wrong(node: ast.AST, outline: Outline) -> bool:
    """Whether it gives an optimizer, or a model's `compile`, what it does not take, or sets it later."""
    if isinstance(node, ast.Call):
        return _may_refuse(node, outline)
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    set_later = (t for t in targets if isinstance(t, ast.Attribute) and t.attr in CLIP_ARGUMENTS)
    return any(last_name(target.value) != "self" for target in set_later) and outline.has(_TRAINS)


def _may_refuse(call: ast.Call, outline: Outline) -> bool:
    given = [keyword for keyword in call.keywords if keyword.arg in _NAMES]
    bounds = [keyword.value for keyword in given if keyword.arg in CLIP_ARGUMENTS]
    if not given or not isinstance(call.func, (ast.Name, ast.Attribute)):
        return False
    name = last_name(call.func)
    if name == "compile":
        return bool(bounds)
    if name not in outline.aliases(_OPTIMIZERS):
        return False
    if len(given) > 1 or not bounds or not _is_right(bounds[0], outline):
        return True
    return outline.has(rb"torch") and not ast.unparse(call.func).startswith(("keras.", "tf.", "tensorflow."))


def _is_right(node: ast.expr, outline: Outline) -> bool:
    """Whether it is no number that is not above zero, and no text and no list."""
    inner = node.operand if isinstance(node, ast.UnaryOp) else node
    if isinstance(inner, ast.Constant) and isinstance(inner.value, (int, float)):
        return inner is node and inner.value > 0
    return not any(
        isinstance(each, (ast.Tuple, ast.List)) or (isinstance(each, ast.Constant) and isinstance(each.value, str))
        for each in sources(outline, node)
    )


def _may_be_powerless(site: Site, outline: Outline) -> bool:
    bound = site.argument(1, "max_norm", "clip_value", "clip_norm")
    if isinstance(bound, (ast.Attribute, ast.Call, ast.Subscript)) or (
        isinstance(bound, ast.Name) and _is_parameter(bound.id, site)
    ):
        return False
    return may_be(outline, bound, lambda value: value <= 0)


def _is_parameter(name: str, site: Site) -> bool:
    """Whether a name is what the function is handed, and nothing else."""
    function = site.function
    if function is None or name not in {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}:
        return False
    return not any(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store) for n in walk(function))
