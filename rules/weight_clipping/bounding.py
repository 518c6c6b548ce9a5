"""The edits that bound the weights of a model, in each framework and in both styles. No rule by itself."""

from __future__ import annotations

from collections.abc import Iterable

from clipcheck.edit import (
    AddArgument,
    DropArgument,
    Edit,
    InsertAfter,
    NeedDefinition,
    NeedImport,
    Remove,
    Replace,
)
from clipcheck.model.code import Call, Code, Spelling
from clipcheck.model.critics import ClippingConstraint, GradientBound
from clipcheck.model.networks import Network, NetworkLayer
from clipcheck.model.script import Script

CONSTRAINT = '''\
@{register}()
class {name}({base}):
    """Keeps every weight in [-c, c]."""

    def __init__(self, c):
        self.c = c

    def __call__(self, w):
        return {clip}(w, -self.c, self.c)

    def get_config(self):
        return {{"c": self.c}}
'''

OPTIMIZER = '''\
@{register}()
class {name}({base}):
    """Keeps every weight that it trains in [-c, c]."""

    def __init__(self, *args, c=0.01, **kwargs):
        super().__init__(*args, **kwargs)
        self.c = c

    def apply(self, grads, trainable_variables=None):
        iteration = super().apply(grads, trainable_variables)
        for w in trainable_variables or self._trainable_variables:
            w.assign({clip}(w, -self.c, self.c))
        return iteration

    def get_config(self):
        return {{**super().get_config(), "c": self.c}}
'''

CLAMP = """\
with torch.no_grad():
    for {p} in {model}.parameters():
        {p}.clamp_({low}, {high})
"""

HOOK = """\
def {hook}(*_):
    with {no_grad}():
        for {p} in {model}.parameters():
            {p}.clamp_({low}, {high})
{gap}
{optimizer}.register_step_post_hook({hook})
"""

ASSIGN = """\
for {w} in {model}.trainable_variables:
    {w}.assign({clip}({w}, {low}, {high}))
"""

_SIMPLE = frozenset("_.")


def negative(text: str) -> str:
    """`-c` for the expression `c`."""
    is_simple = all(character.isalnum() or character in _SIMPLE for character in text)
    return f"-{text}" if is_simple else f"-({text})"


def needs(spelling: Spelling) -> list[Edit]:
    return [NeedImport(module, name) for module, name in spelling.imports]


def bound_at(limit: Code, *places: Code) -> str | None:
    """The bound as it can be written at all these places: as the user wrote it, else its number."""
    if all(limit.means_same_at(place) for place in places):
        return limit.text
    return None if limit.number is None else f"{limit.number:g}"


def keras_package(code: Code) -> str:
    """Which Keras a name in the file is taken from: "tensorflow.keras", "tf_keras" or "keras"."""
    name = code.name or ""
    return next((package for package in ("tensorflow.keras", "tf_keras") if name.startswith(package)), "keras")


def _spelled(script: Script, package: str) -> tuple[Spelling, Spelling]:
    """How to write the decorator and the clip for a custom object, at the top of the file."""
    top = script.code(script.module)
    old = script.targets.keras_2 or script.targets.keras_2_code
    register = "saving" if package == "keras" and not old else "utils"
    clip = "keras.ops.clip" if package == "keras" and not old else "tensorflow.clip_by_value"
    return top.spell(f"{package}.{register}.register_keras_serializable"), top.spell(clip)


def constraint(script: Script, layer: NetworkLayer) -> tuple[ClippingConstraint, list[Edit]] | None:
    """A class of the file that clips weights, or a new one with what it needs."""
    existing = [found for found in script.all(ClippingConstraint) if found.takes_bound]
    if existing:
        return existing[0], []
    top = script.code(script.module)
    name = top.free_name("WeightClip", "CriticWeightClip")
    package = keras_package(layer.owner.callee)
    register, clip = _spelled(script, package)
    base = top.spell(f"{package}.constraints.Constraint")
    code = CONSTRAINT.format(register=register.text, name=name, base=base.text, clip=clip.text)
    edits = [NeedDefinition(name, code), *needs(register), *needs(base), *needs(clip)]
    return ClippingConstraint(name, top, takes_bound=True), edits


def constrained(script: Script, network: Network, limit: Code) -> list[Edit] | None:
    """Constraints for all weights of a Keras model; None where some cannot be bounded so."""
    layers = [layer for layer in network.layers if layer.owns_weights]
    if not layers or not network.is_complete or any(layer.unconstrainable for layer in layers):
        return None
    if _shares_layers(script, network):
        return None
    made = constraint(script, layers[0])
    bounds = {layer: bound_at(limit, layer.owner) for layer in layers}
    if made is None or None in bounds.values():
        return None
    class_, edits = made
    for layer in layers:
        for argument in layer.unconstrained:
            edits.append(AddArgument(layer.owner.node, f"{argument}={class_.made_with(bounds[layer] or '')}"))
    return edits


def _shares_layers(script: Script, network: Network) -> bool:
    """Whether a helper makes layers for this model and for another that does not hold it."""
    own = {layer.call for layer in network.layers if layer.owns_weights}
    for other in script.all(Network):
        theirs = {layer.call for layer in other.layers}
        if other.made != network.made and own & theirs and not own <= theirs:
            return True
    return False


def keras_optimizer(script: Script, optimizer: Call, limit: Code) -> list[Edit] | None:
    """A subclass of the user's optimizer that clips the weights after each update."""
    class_ = (optimizer.callee.api or "").rpartition(".")[2]
    top = script.code(script.module)
    bound = bound_at(limit, optimizer)
    if bound is None or not class_ or script.targets.saves_like_keras_2:
        return None
    package = keras_package(optimizer.callee)
    register, clip = _spelled(script, package)
    base = top.spell(f"{package}.optimizers.{class_}")
    name = top.free_name(f"WeightClipping{class_}", f"CriticWeightClipping{class_}")
    code = OPTIMIZER.format(register=register.text, name=name, base=base.text, clip=clip.text)
    return [
        NeedDefinition(name, code),
        *needs(register),
        *needs(base),
        *needs(clip),
        Replace(optimizer.callee.node, name),
        AddArgument(optimizer.node, f"c={bound}"),
    ]


def clamp_lines(bound: GradientBound, step: Call) -> tuple[str, list[Edit]] | None:
    """The torch loop that clamps the parameters of a model after a step."""
    limit = bound_at(bound.limit, step) if bound.limit is not None else None
    if limit is None or not bound.model.means_same_at(step):
        return None
    no_grad = step.spell("torch.no_grad")
    code = CLAMP.format(
        p=step.free_name("p", "param", "weight"), model=bound.model.text, low=negative(limit), high=limit
    ).replace("torch.no_grad", no_grad.text)
    return code, needs(no_grad)


def clamped(bound: GradientBound) -> list[Edit] | None:
    """Takes a gradient clip of torch away and clamps the weights after the step instead."""
    if bound.place is None or bound.step is None:
        return None
    lines = clamp_lines(bound, bound.step)
    if lines is None:
        return None
    code, edits = lines
    if bound.step_is_before:
        return [Replace(bound.place.node, code), *edits]
    return [Remove(bound.place.node), InsertAfter(bound.step.node, code), *edits]


def hooked(bound: GradientBound) -> list[Edit] | None:
    """Takes a gradient clip of torch away and clamps the weights in a hook of the optimizer instead."""
    training = bound.training
    if bound.place is None or bound.limit is None or training is None or training.optimizer is None:
        return None
    target = training.optimizer.assigned_to
    limit = bound_at(bound.limit, training.optimizer)
    if target is None or limit is None:
        return None
    no_grad = target.spell("torch.no_grad")
    code = HOOK.format(
        hook=target.free_name("clip_weights", "clip_critic_weights"),
        p=target.free_name("p", "param", "weight"),
        model=training.model.text,
        low=negative(limit),
        high=limit,
        optimizer=target.text,
        no_grad=no_grad.text,
        gap="\n" if target.function is None else "",
    )
    return [Remove(bound.place.node), InsertAfter(training.optimizer.node, code), *needs(no_grad)]


def assigned(script: Script, bound: GradientBound) -> list[Edit] | None:
    """Clips the weights of a Keras model after the update of a custom training step."""
    if bound.step is None or bound.limit is None or not bound.step.is_bare_statement:
        return None
    limit = bound_at(bound.limit, bound.step)
    if limit is None:
        return None
    clip = bound.step.spell("tensorflow.clip_by_value")
    code = ASSIGN.format(
        w=bound.step.free_name("w", "weight"),
        model=bound.model.text,
        clip=clip.text,
        low=negative(limit),
        high=limit,
    )
    return [InsertAfter(bound.step.node, code), *needs(clip)]


def without_gradient_bound(bound: GradientBound) -> list[Edit] | None:
    """Takes away what bounds the gradients in Keras."""
    if bound.argument is not None:
        return [DropArgument(bound.call.node, bound.argument.node)]
    if bound.place is not None:
        return [Remove(bound.place.node)]
    if bound.clipped is not None and bound.unclipped is not None:
        return [Replace(bound.clipped.node, bound.unclipped.text)]
    return None


def together(*parts: Iterable[Edit] | None) -> list[Edit] | None:
    """All edits, or None if one part is not possible."""
    edits: list[Edit] = []
    for part in parts:
        if part is None:
            return None
        edits.extend(part)
    return edits
