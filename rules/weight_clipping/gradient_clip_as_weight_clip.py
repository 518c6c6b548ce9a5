"""The gradients of a WGAN critic are clipped where its weights are meant to be.

## What it does
Finds critics whose weights shall stay in [-c, c], as in the WGAN paper, while only their gradients are bounded: by the
optimizer's `clipvalue=`, `clipnorm=` or `global_clipnorm=`, by `clip_grad_value_` or `clip_grad_norm_`, or by
`tf.clip_by_value` on gradients. The message shows the evidence for a critic.

## Why it is wrong
A bound on the gradients limits how far one update moves a weight, not where the weight is after many of them: with
`clipvalue=0.01`, RMSprop and Adam normalise the gradient anyway, and the weights leave [-0.01, 0.01] within a few
steps. The critic is then not Lipschitz, and its loss does not estimate the Wasserstein distance.

## Example
```python
def wasserstein(y_true, y_pred):
    return keras.ops.mean(y_true * y_pred)

critic = keras.Sequential([keras.Input((2,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(1)])
critic.compile(keras.optimizers.RMSprop(5e-5, clipvalue=0.01), wasserstein)
```

## Use instead
```python
@keras.saving.register_keras_serializable()
class WeightClip(keras.constraints.Constraint):
    def __init__(self, c):
        self.c = c

    def __call__(self, w):
        return keras.ops.clip(w, -self.c, self.c)

    def get_config(self):
        return {"c": self.c}

clip = dict(kernel_constraint=WeightClip(0.01), bias_constraint=WeightClip(0.01))
critic = keras.Sequential(
    [keras.Input((2,)), keras.layers.Dense(64, "relu", **clip), keras.layers.Dense(1, **clip)]
)
critic.compile(keras.optimizers.RMSprop(5e-5), wasserstein)
```

## Fix
Unsafe, since other weights are trained. Keras: drops the optimizer's argument and gives every layer of the critic that
owns weights its constraint arguments; in a training step of one's own whose model is built elsewhere, clips the
variables after the update. Torch: clamps the critic's parameters under `torch.no_grad()` after its optimizer's step.
With `weight-clip-style = "optimizer"`: an optimizer class that clips after each update, or a step hook. No fix where a
layer cannot be constrained, where the model is built elsewhere, or where the bound is not known.

## Not flagged
Critics whose weights are bounded as well, or that have a gradient penalty or spectral norm; actor and critic of
reinforcement learning; models with another loss; bounds above 0.1, unless a name or a comment at the clip says
that it is about weights; everything for which the evidence does not suffice. A comment alone never does.

## Sources
Arjovsky, Chintala, Bottou: Wasserstein GAN, https://arxiv.org/abs/1701.07875, algorithm 1.
https://keras.io/api/optimizers/ and https://keras.io/api/layers/constraints/
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from clipcheck.edit import Edit, Fix, unsafe
from clipcheck.finding import Finding
from clipcheck.frameworks.keras import CLIP_ARGUMENTS
from clipcheck.model.critics import GradientClippedCritic
from clipcheck.model.script import Script
from clipcheck.outline import Outline
from clipcheck.outline.constants import may_be
from clipcheck.outline.order import CLIPS_OF_GRADIENTS
from clipcheck.outline.shapes import VALUE_CLIPS, may_be_gradient, value_clips
from clipcheck.rule import Rule, note

from . import bounding

_PLAIN = 0.1
"""Up to here the norm that somebody gave is plainly the bound of the weights that they had in mind."""


class GradientClipAsWeightClip(Rule):
    code = "CLP101"
    name = "gradient-clip-as-weight-clip"
    screen = (rb"clipvalue|clipnorm|clip_|clamp_", (rb"mean|backward", rb"(?i)wasserstein|wgan|mover|emd"))
    why = (
        "Clipping the gradients limits how far one update moves the weights, not where they end up: they leave the "
        "interval within a few steps, the critic is not Lipschitz, and its loss does not estimate the Wasserstein "
        "distance."
    )
    advice = (
        "Bound the weights themselves: a constraint on every layer of the critic (Keras), or `p.clamp_(-c, c)` for "
        "its parameters under `torch.no_grad()` after each of its optimizer's steps (torch)."
    )

    def candidate(self, outline: Outline) -> bool:
        is_named = outline.has(rb"critic|discriminator", re.IGNORECASE) or outline.has(_DISC)
        if not is_named and not any(map(_D.fullmatch, outline.before(_WEIGHTS))):
            return False
        if any(may_be(outline, bound, lambda value: 0 < value <= _PLAIN) for bound in _bounds(outline)):
            return True
        return outline.has(_WORDS) and any(map(_WORD.search, _around_bounds(outline))) and any(_bounds(outline))

    def check(self, script: Script) -> Iterator[Finding]:
        for critic in script.all(GradientClippedCritic):
            yield self.finding(
                critic.bound.at,
                f"`{critic.bound.words}` bounds the gradients of `{critic.name}`, not its weights",
                evidence=[note(piece.code, piece.words) for piece in critic.evidence],
                fix=self.fix(script, critic),
            )

    def fix(self, script: Script, critic: GradientClippedCritic) -> Fix | None:
        bound = critic.bound
        if bound.limit is None or (bound.by == "norm" and not 0 < (bound.limit.number or 0) <= _PLAIN):
            return None
        is_torch = "torch" in (bound.call.callee.api or "torch")
        by_optimizer = script.weight_clip_style == "optimizer"
        edits = self.torch(critic, by_optimizer) if is_torch else self.keras(script, critic, by_optimizer)
        if edits is None:
            return None
        return unsafe(f"Bound the weights of `{critic.name}` instead of its gradients", *edits)

    def torch(self, critic: GradientClippedCritic, by_optimizer: bool) -> list[Edit] | None:
        hooked = bounding.hooked(critic.bound) if by_optimizer else None
        return hooked or bounding.clamped(critic.bound)

    def keras(self, script: Script, critic: GradientClippedCritic, by_optimizer: bool) -> list[Edit] | None:
        bound = critic.bound
        assert bound.limit is not None
        optimizer = bound.training.optimizer if bound.training is not None else None
        bounded = None
        if by_optimizer and optimizer is not None and not critic.shared:
            bounded = bounding.keras_optimizer(script, optimizer, bound.limit)
        if bounded is None and critic.network is not None:
            bounded = bounding.constrained(script, critic.network, bound.limit)
        if bounded is None and bound.argument is None:
            bounded = bounding.assigned(script, bound)
        return bounding.together(bounding.without_gradient_bound(bound), bounded)


_DISC = rb"(?i)disc(?:_|\b|\d)"
_D = re.compile(r"(?i)net_?d|d(?:_?(?:net|model|[ab12xy]))?|f_?net")
_WEIGHTS = rb"\.\s*(?:parameters|named_parameters|trainable_\w+|weights|variables|compile|state_dict|get_weights)\b"
_WORDS = (
    rb"(?i)lipschitz|(?:cli?p|clamp)\w*[\s_-]*(?:[\w']+[\s_-]+){0,4}(?:weight|param)"
    rb"|weights?\b.{0,25}(?:cli?p|within|in|between|inside)|weights?_?cli?p"
)
"""What speaks of the weights at a clip of gradients."""
_WORD = re.compile(_WORDS)
_ARGUMENT = rb"\b(?:clipvalue|clipnorm|global_clipnorm)\s*="
_NEAR = 1000


def _bounds(outline: Outline) -> Iterator[ast.expr]:
    """The expressions that may bound gradients."""
    for site in outline.calls(CLIPS_OF_GRADIENTS):
        yield from (*site.call.args[1:], *(keyword.value for keyword in site.call.keywords))
    for node in outline.nodes_at(_ARGUMENT) if outline.has(_ARGUMENT) else ():
        if isinstance(node, ast.Call):
            yield from (keyword.value for keyword in node.keywords if keyword.arg in CLIP_ARGUMENTS)
    for clip in value_clips(outline):
        if may_be_gradient(clip, outline):
            yield clip.high or clip.subject


def _around_bounds(outline: Outline) -> Iterator[bytes]:
    """What stands near the calls that may bound gradients, where their comments are, and the names of functions."""
    names = outline.aliases(CLIPS_OF_GRADIENTS) | outline.aliases(VALUE_CLIPS)
    places = [start for start, _ in outline.occurrences(names)]
    places += [found.start() for found in outline.finditer(_ARGUMENT)]
    yield from (outline.data[max(0, place - _NEAR) : place + _NEAR] for place in places)
    yield from (found[1] for found in outline.finditer(rb"\bdef\s+(\w+)"))
