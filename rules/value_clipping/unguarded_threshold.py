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

import re
from collections.abc import Iterator

from clipcheck.edit import Fix, Replace, safe
from clipcheck.finding import Finding, Note
from clipcheck.model.code import Code
from clipcheck.model.script import Script
from clipcheck.model.thresholds import DividingThreshold, IntegerParameter, Learnable, MirroredThreshold
from clipcheck.rule import Rule, Severity, note


class UnguardedThreshold(Rule):
    code = "CLP309"
    name = "unguarded-threshold"
    screen = re.compile(
        rb"(?s)\A(?=.*(?:Parameter|add_weight|add_variable|[Vv]ariable))"
        rb"(?=.*(?:[Tt]anh|[Ss]oft(?:plus|sign)|a(?:rc)?tan|\berf\b|cl(?:am|i)p|max(?:imum)?\s*\(.{0,200}?min|"
        rb"min(?:imum)?\s*\(.{0,200}?max|Parameter\s*\([^()]*(?:tensor|full)\s*\())"
    )
    severity = Severity.WARNING
    why = (
        "Training moves a learnable threshold where the gradient leads, to zero and below. At zero the division gives "
        "infinity and the product with it NaN, which the next update spreads to every weight."
    )
    advice = "Keep the threshold positive where it is used: softplus(θ) + eps, or `clamp_min`."

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
