"""Only some of the weights of a WGAN critic are bounded.

## What it does
Finds critics of which some weights are kept in [-c, c] and others are not: kernels without biases, hidden layers
without the last one, one layer of several, the first of several clip operations. Also finds the class of a constraint
given where one of its objects belongs.

## Why it is wrong
A critic is Lipschitz only if all of its weights are bounded. One free layer, and often it is `Dense(1)`, can scale the
scores without limit, and training uses just that: the bounded layers do not bound the critic. A class given for a
constraint is called with no bound at all (Keras 3), or with the weights as its bound (Keras 2).

## Example
```python
critic = keras.Sequential(
    [
        keras.Input((2,)),
        keras.layers.Dense(64, activation="relu", kernel_constraint=WeightClip(0.01)),
        keras.layers.Dense(1),
    ]
)
critic.compile(keras.optimizers.RMSprop(5e-5), loss=wasserstein_loss)
```

## Use instead
```python
critic = keras.Sequential(
    [
        keras.Input((2,)),
        keras.layers.Dense(
            64, activation="relu", kernel_constraint=WeightClip(0.01), bias_constraint=WeightClip(0.01)
        ),
        keras.layers.Dense(1, kernel_constraint=WeightClip(0.01), bias_constraint=WeightClip(0.01)),
    ]
)
critic.compile(keras.optimizers.RMSprop(5e-5), loss=wasserstein_loss)
```

## Fix
Unsafe, since other weights are trained: gives the remaining weights the same constraint; clips all variables that the
optimizer updates, or all parameters of the module. No fix where a layer takes no constraint or part of the model is not
in the file.

## Not flagged
Constraints that do not clip; models that no Wasserstein loss shows to be critics; critics with a gradient penalty or
spectral norm; latent weights of binarised layers, max-norm regularisation, and clips of data.

## Sources
Arjovsky, Chintala, Bottou: Wasserstein GAN, https://arxiv.org/abs/1701.07875, algorithm 1, line 7.
https://keras.io/api/layers/constraints/
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from clipcheck.edit import AddArgument, Edit, Fix, Remove, Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.model.critics import ConstraintClass, PartialWeightClip, UnboundWeights
from clipcheck.model.networks import NetworkLayer
from clipcheck.model.script import Script
from clipcheck.outline import Outline, last_name, walk
from clipcheck.outline.origins import sources
from clipcheck.outline.shapes import Clip, is_thrown_away, value_clips
from clipcheck.rule import Rule, note


class PartialWeightClipRule(Rule):
    code = "CLP105"
    name = "partial-weight-clip"
    screen = (rb"lip|LIP|lamp|LAMP", rb"_constraint|var_list|layers|weight|bias|named_parameters")
    why = (
        "A critic is Lipschitz only if all of its weights are bounded: the free ones grow, scale its scores without "
        "limit, and the loss no longer estimates the Wasserstein distance."
    )
    advice = "Bound every trainable weight of the critic: kernels, biases, scales, and the last layer too."

    def candidate(self, outline: Outline) -> bool:
        calls = outline.nodes_at(_GIVEN) if outline.has(_GIVEN) and outline.has(rb"keras") else ()
        if any(_may_be_given_clip(call, outline) for call in calls):
            return True
        if not any(_may_be_partial(clip, outline) for clip in value_clips(outline)):
            return False
        return outline.has(_LISTED) or outline.once(_names_critic)

    def check(self, script: Script) -> Iterator[Finding]:
        for unbound in script.all(UnboundWeights):
            yield self.unbound(unbound)
        for given in script.all(ConstraintClass):
            if given.needed or given.evidence is not None:
                yield self.constraint_class(given)
        for partial in script.all(PartialWeightClip):
            yield self.by_hand(partial)

    def unbound(self, unbound: UnboundWeights) -> Finding:
        layers = unbound.layers
        name = unbound.network.spoken_name
        return self.finding(
            unbound.given,
            f"`{unbound.given.words}` bounds some weights of `{name}`, but not {_summary(layers)}",
            evidence=[
                *(note(layer.call, f"free: {_weights(layer)}") for layer in layers),
                *(note(piece.code, piece.words) for piece in unbound.evidence),
            ],
            fix=self.complete(unbound, name),
        )

    def complete(self, unbound: UnboundWeights, name: str) -> Fix | None:
        given = unbound.given.code
        layers = unbound.layers
        if not unbound.network.is_complete or any(layer.unconstrainable for layer in unbound.network.layers):
            return None
        if not all(given.means_same_at(layer.owner) for layer in layers):
            return None
        edits = [
            AddArgument(layer.owner.node, f"{argument}={given.text}")
            for layer in layers
            for argument in layer.unconstrained
        ]
        return unsafe(f"Bound all weights of `{name}`", *edits)

    def constraint_class(self, given: ConstraintClass) -> Finding:
        name = given.constraint.name
        made = given.made.text if given.made is not None and given.made.means_same_at(given.argument) else None
        if made is None and not given.needed:
            made = f"{name}()"
        fix = unsafe(f"Give an object, `{made}`", Replace(given.argument.code.node, made)) if made else None
        return self.finding(
            given.argument,
            f"`{given.argument.words}` gives the class `{name}` where an object of it, with its bound, belongs",
            why=(
                "Keras 3 makes an object of the class without a bound, which raises if the bound has no default; "
                "Keras 2 calls the class with the weights as its bound, and does not clip."
            ),
            advice=f"Give an object: `{name}(0.01)`.",
            fix=fix,
        )

    def by_hand(self, partial: PartialWeightClip) -> Finding:
        edits: list[Edit] = [
            *(Replace(code.node, text) for code, text in partial.rewritten),
            *(Remove(code.node) for code in partial.superfluous),
        ]
        critic = f"`{partial.model}`" if partial.model else "the critic"
        return self.finding(
            partial.at,
            f"only {partial.bounded} of {critic} {'are' if ' and ' in partial.bounded else 'is'} clipped, "
            f"not {partial.left_out}",
            evidence=[note(piece.code, piece.words) for piece in partial.evidence],
            fix=unsafe(f"Clip all weights of {critic}", *edits) if edits else None,
        )


def _summary(layers: tuple[NetworkLayer, ...]) -> str:
    """`the bias of Conv2D, and all of Dense`, in as few words as it takes."""
    first = f"{_weights(layers[0])} of `{layers[0].owner.callee.words}`"
    return first if len(layers) == 1 else f"{first}, and {len(layers) - 1} more"


def _weights(layer: NetworkLayer) -> str:
    """`kernel and bias`."""
    names = [argument.removesuffix("_constraint") for argument in layer.unconstrained]
    if not names:
        return "the weights"
    return f"the {' and '.join(names)}"


_GIVEN = rb"_constraint\s*=(?!=)"
_LISTED = rb"var_list"
_CRITIC = re.compile(
    r"critic|discriminator|(^|_)disc(_|$|\d)|(^|_)(net_?d|d(_?(net|model|[ab12xy]))?|f_?net)$", re.IGNORECASE
)


def _names_critic(outline: Outline) -> bool:
    """Whether something is called like a critic: a variable, an attribute, a class, or a function that builds one."""
    fields = ("id", "attr", "arg", "name")
    names = (getattr(node, field, None) for node in walk(outline.tree) for field in fields)
    return any(isinstance(name, str) and _CRITIC.search(name) for name in names)


def _may_be_given_clip(node: ast.AST, outline: Outline) -> bool:
    """Whether a call gives a constraint that may clip: by its name, or as a class of the file."""
    given = node.keywords if isinstance(node, ast.Call) else []
    values = (keyword.value for keyword in given if (keyword.arg or "").endswith("_constraint"))
    return any(_may_make_clip(source, outline) for value in values for source in sources(outline, value))


def _may_make_clip(node: ast.expr, outline: Outline) -> bool:
    if isinstance(node, ast.Lambda):
        return "clip" in ast.unparse(node)
    name = last_name(node.func if isinstance(node, ast.Call) else node)
    if "clip" in name.lower():
        return True
    is_class = bool(name) and outline.has(rb"\bclass[\s\\]+%s\b" % name.encode())
    return is_class or (name in outline.imported and outline.is_renamed(name))


def _may_be_partial(clip: Clip, outline: Outline) -> bool:
    """Whether it may clip one variable, one layer, one parameter of a module, or what is called a weight."""
    if (clip.in_place or is_thrown_away(clip.site)) and outline.has(rb"named_parameters"):
        return True
    subject = clip.subject
    while isinstance(subject, ast.Attribute) and subject.attr == "data":
        subject = subject.value
    if last_name(subject) in ("weight", "bias"):
        return True
    parent = clip.site.parent
    if isinstance(parent, ast.Call) and last_name(parent.func) == "assign" and outline.has(rb"var_list"):
        return True
    parts = (node for node in walk(clip.site.statement) if isinstance(node, ast.Subscript))
    return any(last_name(part.value) == "layers" for part in parts)
