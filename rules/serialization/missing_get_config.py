"""A custom constraint, layer or optimizer that clips does not save its parameters.

## What it does
Finds constraints, and layers and optimizers in which something is clipped, whose `__init__` has parameters that no
`get_config` returns.

## Why it is wrong
Keras saves an object as the name of its class and the dict that `get_config` returns, and makes it again by calling
the class with that dict. What is not in it is lost: a constraint with a default bound comes back with the default,
silently, and training goes on with another bound than before; without a default, loading raises a TypeError. Keras 3
records the arguments of a layer by itself, but then hands `name`, `trainable` and `dtype` to `__init__` as well, which
has to take them. Keras 2 records nothing.

## Example
```python
class WeightClip(keras.constraints.Constraint):
    def __init__(self, limit=0.5):
        self.limit = limit

    def __call__(self, w):
        return keras.ops.clip(w, -self.limit, self.limit)
```

## Use instead
```python
class WeightClip(keras.constraints.Constraint):
    def __init__(self, limit=0.5):
        self.limit = limit

    def __call__(self, w):
        return keras.ops.clip(w, -self.limit, self.limit)

    def get_config(self):
        return {"limit": self.limit}
```

## Fix
Writes `get_config`, on top of the base's where the base has one, and lets a layer's `__init__` take `**kwargs`. Safe:
nothing changes but what is saved. There is no fix where a parameter is not kept in an attribute as it was given.

## Not flagged
Classes in which nothing is clipped and that are no constraints; layers of Keras 3 that take `**kwargs`, and layers
whose `__init__` takes nothing else; classes with a `from_config` of their own, or with bases from elsewhere.

## Sources
https://keras.io/guides/serialization_and_saving/#custom-objects
https://keras.io/api/layers/constraints/#creating-custom-weight-constraints
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from clipcheck.edit import AppendToBody, Edit, Fix, safe
from clipcheck.finding import Finding
from clipcheck.frameworks.keras import BASE_ARGUMENTS
from clipcheck.model.classes import CustomClass, InitParameter
from clipcheck.model.script import Script
from clipcheck.outline import Outline
from clipcheck.outline.classes import clipping_pieces, may_be_of_keras, may_clip, method, parameters
from clipcheck.rule import Rule, note

from ._writing import entries, listed, take_kwargs


class MissingGetConfig(Rule):
    code = "CLP501"
    name = "missing-get-config"
    screen = (rb"keras|tensorflow", rb"onstraint|clip|clamp", rb"__init__")
    why = (
        "Keras saves a custom object as what `get_config` returns, and calls its class with that to load it. What is "
        "not in it comes back as the default, silently, or makes loading fail."
    )
    advice = "Give the class a `get_config` that returns each parameter of its `__init__`."

    def candidate(self, outline: Outline) -> bool:
        return any(
            _may_lose(class_, outline)
            for piece in clipping_pieces(outline)
            if b"__init__" in piece.data and not piece.surely_defines(b"get_config", b"from_config")
            for class_ in piece.classes
        )

    def check(self, script: Script) -> Iterator[Finding]:
        for custom in script.all(CustomClass):
            init = custom.init
            if custom.config is not None or custom.rebuilds or not custom.clips or init is None or not init.own:
                continue
            lost = self.lost(custom, script.targets.saves_like_keras_2)
            if lost:
                yield self.finding(
                    custom.code,
                    self.message(custom, lost, script.targets.saves_like_keras_2),
                    evidence=[note(parameter.code, "this is not saved") for parameter in lost],
                    fix=self.fix(custom, lost),
                )
            elif self.refuses_base_keys(custom):
                yield self.refused(custom)

    def lost(self, custom: CustomClass, keras_2: bool) -> list[InitParameter]:
        """The parameters that are not saved."""
        own = [p for p in custom.parameters if p.name not in custom.base_arguments and (p.required or p.is_used)]
        if custom.kind == "layer" and custom.plain_base and not keras_2:
            return []  # Keras 3 records them by itself
        if custom.plain_base and custom.kind != "optimizer":
            return own
        return [p for p in own if not p.handed_up and p.attribute is not None]

    def refuses_base_keys(self, custom: CustomClass) -> bool:
        """Whether the config that Keras 3 writes by itself holds keys that `__init__` does not take."""
        init = custom.init
        if init is None or custom.kind != "layer" or not custom.plain_base or not init.parameters:
            return False
        if any(parameter.is_object for parameter in init.parameters):
            return False  # Keras cannot record these at all
        return not init.takes_kwargs and not custom.base_keys <= {p.name for p in init.parameters}

    def message(self, custom: CustomClass, lost: list[InitParameter], keras_2: bool) -> str:
        required = [p.name for p in lost if p.required]
        if required:
            return f"`{custom.name}` has no `get_config`: a saved model cannot be loaded without {listed(required)}"
        names = listed(p.name for p in lost)
        return f"`{custom.name}` has no `get_config`: a saved model is loaded with the default of {names}"

    def refused(self, custom: CustomClass) -> Finding:
        init = custom.init
        assert init is not None
        keys = sorted(custom.base_keys - {p.name for p in init.parameters})
        fix = None
        if init.may_hand_up_kwargs:
            fix = safe(f"Let `{custom.name}` take the arguments of every layer", *take_kwargs(init))
        return self.finding(
            custom.code,
            f"`{custom.name}` cannot be loaded from a saved model: its `__init__` does not take {listed(keys)}",
            why=(
                "Keras 3 records the arguments that a layer is made with, and saves them together with its name, its "
                "dtype and whether it is trainable. Loading hands all of them to `__init__`, which raises a TypeError."
            ),
            advice="Take `**kwargs` in `__init__` and hand them to the base's `__init__`.",
            evidence=[note(init.code, "this takes no other arguments")],
            fix=fix,
        )

    def fix(self, custom: CustomClass, lost: list[InitParameter]) -> Fix | None:
        init = custom.init
        assert init is not None
        written = entries(lost, "'" if custom.quotes_singly else '"')
        edits: list[Edit] = []
        if custom.kind != "constraint" and not init.takes_kwargs and not custom.base_keys <= {p.name for p in lost}:
            if not init.may_hand_up_kwargs:
                return None
            edits += take_kwargs(init)
        if written is None:
            return None
        display = "{" + ", ".join(written) + "}"
        if custom.kind == "constraint" and custom.plain_base:
            body = f"    return {display}"
        else:
            body = f"    config = {custom.super_call}.get_config()\n    config.update({display})\n    return config"
        edits.append(AppendToBody(custom.node, f"def get_config(self):\n{body}"))
        return safe(f"Write `get_config` for `{custom.name}`", *edits)


_SAVING = ("get_config", "from_config")
_BASE_ARGUMENTS = frozenset[str]().union(*BASE_ARGUMENTS.values())


def _may_lose(class_: ast.ClassDef, outline: Outline) -> bool:
    """Whether an `__init__` of its own takes something that Keras may not save, or not all that Keras hands to it."""
    init = method(class_, "__init__")
    if init is None or not parameters(init) or any(method(class_, name) for name in _SAVING):
        return False
    if init.args.kwarg is not None and all(parameter.arg in _BASE_ARGUMENTS for parameter in parameters(init)):
        return False
    return may_be_of_keras(class_, outline) and may_clip(class_, outline)
