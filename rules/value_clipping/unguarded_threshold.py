"""A learnable threshold divides or bounds both sides, and nothing keeps it positive.

## What it does
Finds a learnable threshold θ (an `nn.Parameter`, a trainable `add_weight`) used as θ·tanh(x/θ), or as the bounds of
`clamp(x, -θ, θ)`, with nothing that keeps it above zero; and a threshold made of an integer,
`nn.Parameter(torch.tensor(1))`.

## Why it is wrong
Training moves θ where the gradient leads, through zero too. At zero x/θ is infinite, and the product with θ is NaN,
which spreads to every weight at the next update. Below zero the bounds of `clamp(x, -θ, θ)` are inverted: torch then
returns θ everywhere, TensorFlow -θ, whatever x is. An integer tensor cannot require a gradient: making a parameter of
it raises a RuntimeError.

## Example
```python
class SoftClip(nn.Module):
    def __init__(self):
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return self.threshold * torch.tanh(x / self.threshold)
```

## Use instead
```python
    def forward(self, x):
        threshold = F.softplus(self.threshold) + 1e-6
        return threshold * torch.tanh(x / threshold)
```

## Fix
Writes the integer as a float, `torch.tensor(1.0)`. Safe: the line raised before. How a threshold is to be kept
positive (softplus, `clamp_min`, a projection after the step) is the author's choice: no fix.

## Not flagged
Thresholds behind softplus, exp, abs, `clamp_min`, `+ eps` or anything else that may guard them; thresholds with a
`constraint=`, a parametrization, or a clamp of their value somewhere in the file, or that an `if` or `assert` checks;
one-sided learnable bounds such as `clamp(x, 0, θ)`; constants and buffers.

## Sources
https://docs.pytorch.org/docs/stable/generated/torch.clamp.html
https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softplus.html
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from clipcheck.edit import Fix, Replace, safe
from clipcheck.finding import Finding, Note
from clipcheck.model.code import Code
from clipcheck.model.script import Script
from clipcheck.model.thresholds import DividingThreshold, IntegerParameter, Learnable, MirroredThreshold
from clipcheck.outline import Outline, Site, last_name, walk
from clipcheck.outline.constants import may_be
from clipcheck.outline.origins import learned, origins
from clipcheck.outline.shapes import value_clips
from clipcheck.rule import Rule, Severity, note


class UnguardedThreshold(Rule):
    code = "CLP309"
    name = "unguarded-threshold"
    screen = (
        rb"Parameter|add_weight|add_variable|ariable",
        (
            rb"clip|clamp|anh|oftplus|oftsign|arctan|minimum|maximum",
            rb"erf\b",
            rb"atan\b",
            rb"Parameter\s*\([^()]*(?:tensor|full)\s*\(",
            rb"m(?:in|ax)\s*\(.{0,200}?m(?:in|ax)",
        ),
    )
    severity = Severity.WARNING
    why = (
        "Training moves a learnable threshold where the gradient leads, to zero and below. At zero the division gives "
        "infinity and the product with it NaN, which the next update spreads to every weight."
    )
    advice = "Keep the threshold positive where it is used: softplus(θ) + eps, or `clamp_min`."

    def candidate(self, outline: Outline) -> bool:
        if any(_may_be_integer(site, outline) for site in _made_of_numbers(outline)):
            return True
        names = learned(outline)
        if not names:
            return False
        near = rb"\b%s\b" % _one_of(names)
        if outline.has(rb"/|div") and any(_may_divide(site, near, outline) for site in outline.calls(_BOUNDED, near)):
            return True
        return outline.has(rb"-") and (_clips_between_opposites(outline) or _takes_opposite_extremes(near, outline))

    def check(self, script: Script) -> Iterator[Finding]:
        for use in script.all(DividingThreshold):
            name = use.learnable.name
            yield self.finding(
                use.division,
                f"`{use.division.words}` is not finite once training takes `{name}` to zero: "
                f"`{name}` times `{use.squashed.words}` is NaN there",
                evidence=self.evidence(use.learnable),
            )
        for mirrored in script.all(MirroredThreshold):
            name = mirrored.learnable.name
            yield self.finding(
                mirrored.call,
                f"`-{name}` and `{name}` change places once training takes `{name}` below zero: "
                "the lower bound is then above the upper one",
                evidence=self.evidence(mirrored.learnable),
                why=(
                    "Training moves a learnable threshold where the gradient leads, below zero too. The bounds are "
                    "then inverted, and the clip returns the same value everywhere, whatever its input is."
                ),
            )
        for parameter in script.all(IntegerParameter):
            yield self.integer(parameter)

    def evidence(self, learnable: Learnable) -> list[Note]:
        return [note(learnable.made, f"`{learnable.name}` is learned, and nothing keeps it positive")]

    def integer(self, parameter: IntegerParameter) -> Finding:
        number = parameter.number
        given = number.text if number.text == str(parameter.value) else f"{number.text}={parameter.value}"
        return self.finding(
            parameter.call,
            f"`{parameter.target}` is made of the integer `{given}`, and an integer tensor cannot be a parameter",
            why="Only floating point tensors can require a gradient: the line raises a RuntimeError when it runs.",
            advice="Give the threshold as a float.",
            fix=self.as_float(number, parameter.value),
        )

    def as_float(self, number: Code, value: int) -> Fix:
        written = number.text.lstrip("-+").isdigit()
        text = f"{number.text}.0" if written else f"float({number.text})"
        return safe(f"Write `{text}` for `{number.text}`", Replace(number.node, text))


_BOUNDED = frozenset(
    "tanh softplus softsign erf atan arctan hard_tanh hardtanh Tanh Softplus Softsign Hardtanh".split()
)
_RESHAPING = frozenset("view reshape unsqueeze squeeze expand expand_as view_as to type_as cuda cpu flatten".split())
_TENSOR_MAKERS = frozenset({"tensor", "as_tensor", "full"})
_EXTREMES = frozenset({"min", "max", "minimum", "maximum"})


def _made_of_numbers(outline: Outline) -> tuple[Site, ...]:
    """The parameters that are made of a tensor that is made of numbers."""
    names = (outline.aliases(frozenset(names)) for names in ({"Parameter"}, _TENSOR_MAKERS))
    pattern = rb"%s\s*\(\s*(?:data\s*=\s*)?[\w.\s]*\b%s\s*\(" % tuple(map(_one_of, names))
    return outline.calls({"Parameter"}, pattern) if outline.has(pattern) else ()


def _one_of(names: frozenset[str]) -> bytes:
    """A pattern; that of a single name is the quickest to search."""
    joined = "|".join(sorted(names)).encode()
    return joined if len(names) == 1 else b"(?:%s)" % joined


def _may_be_integer(site: Site, outline: Outline) -> bool:
    """`self.limit = nn.Parameter(torch.tensor(6))`."""
    made = site.argument(0, "data")
    if not isinstance(made, ast.Call) or not (made.args or made.keywords):
        return False
    if last_name(made.func) not in outline.aliases(_TENSOR_MAKERS):
        return False
    targets = getattr(site.statement, "targets", None) or [getattr(site.statement, "target", None)]
    if not any(_may_bound(last_name(target), outline) for target in targets if target is not None):
        return False
    numbers = [*made.args, *(keyword.value for keyword in made.keywords)]
    return any(may_be(outline, number, lambda value: type(value) is int) for number in numbers)


def _may_bound(name: str, outline: Outline) -> bool:
    """Whether something of this name may bound a clip, or says so."""
    if re.search(r"(?i)clip|clamp|thresh|bound|limit", name):
        return True
    bounds = [bound for clip in value_clips(outline) for bound in clip.bounds] if outline.has(rb"clip|clamp") else []
    bounds += [site.call for site in outline.calls(_BOUNDED)]
    return any(last_name(node) == name for bound in bounds for node in walk(bound))


def _may_divide(site: Site, near: bytes, outline: Outline) -> bool:
    """Whether something that bounds values is called with what may be divided by a learned one."""
    if site.name[:1].isupper():  # a module
        names = {last_name(node) for node in walk(site.statement) if isinstance(getattr(node, "ctx", None), ast.Store)}
        is_called = isinstance(site.parent, ast.Call) and site.parent.func is site.call
        return is_called or any(_is_given_quotient(call, outline) for call in outline.calls(names - {""}, near))
    return _is_given_quotient(site, outline)


def _is_given_quotient(site: Site, outline: Outline) -> bool:
    given = [*site.call.args, *(keyword.value for keyword in site.call.keywords)]
    inputs = given[:1] or ([site.receiver] if site.receiver is not None else [])
    made = (origin for argument in inputs for origin in origins(outline, site, argument, frozenset()))
    divisors = (divisor for origin in made if (divisor := _divisor(origin)) is not None)
    return any(_may_be_learned(divisor, site, outline) for divisor in divisors)


def _may_be_learned(node: ast.expr, site: Site, outline: Outline) -> bool:
    """Whether something may be learned as it stands, or in another shape."""
    names = learned(outline)
    return any(last_name(origin) in names for origin in origins(outline, site, node, _RESHAPING))


def _divisor(node: ast.expr) -> ast.expr | None:
    if isinstance(node, ast.Call) and "div" in last_name(node.func) and node.args:
        return node.args[-1]
    return node.right if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) else None


def _clips_between_opposites(outline: Outline) -> bool:
    clips = value_clips(outline) if outline.has(rb"clip|clamp") else ()
    return any(
        _may_be_opposite(clip.low, clip.site, outline) and _may_be_learned(clip.high, clip.site, outline)
        for clip in clips
        if clip.low is not None and clip.high is not None
    )


def _takes_opposite_extremes(near: bytes, outline: Outline) -> bool:
    """`max(min(x, limit), -limit)`."""
    if not (outline.has(rb"min") and outline.has(rb"max")):
        return False
    sites = [site for site in outline.calls(_EXTREMES, near) if len(site.call.args) == 2]
    nested = (s for s in sites if any(isinstance(a, ast.Call) and last_name(a.func) in _EXTREMES for a in s.call.args))
    return any(
        _may_be_opposite(argument, site, outline) and _may_be_learned(argument, site, outline)
        for site in nested
        for argument in _operands(site.call)
    )


def _operands(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(inner for argument in call.args if isinstance(argument, ast.Call) for inner in argument.args)]


def _may_be_opposite(node: ast.expr, site: Site, outline: Outline) -> bool:
    """Whether something may be the negative of what is learned."""
    negative = (
        isinstance(origin, ast.UnaryOp) and isinstance(origin.op, ast.USub)
        for origin in origins(outline, site, node, frozenset())
    )
    return any(negative) and _may_be_learned(node, site, outline)
