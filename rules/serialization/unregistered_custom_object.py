"""A custom object that clips is saved with a model, and Keras cannot find its class again.

## What it does
Finds custom constraints, layers and optimizers that are part of a model which the script saves whole, and that are
neither registered nor named in any `custom_objects`. A lambda as a constraint counts too.

## Why it is wrong
The file holds the name of the class only. Loading it raises a TypeError, also in a program that imports the class, and
`safe_mode=False` does not help. A lambda cannot be loaded at all.

## Example
```python
class WeightClip(keras.constraints.Constraint):
    ...

critic = keras.Sequential([keras.layers.Dense(1, kernel_constraint=WeightClip(0.01))])
critic.save("critic.keras")
```

## Use instead
```python
@keras.saving.register_keras_serializable()
class WeightClip(keras.constraints.Constraint):
    ...

critic = keras.Sequential([keras.layers.Dense(1, kernel_constraint=WeightClip(0.01))])
critic.save("critic.keras")
```

## Fix
Registers the class with a decorator. Safe: nothing changes but that the file can be loaded. A lambda has to be
rewritten by hand.

## Not flagged
Files that mention `custom_objects` or a scope of them; classes with any decorator; models of which only the weights are
saved, and objects of which it is not certain that they are in the saved model.

## Sources
https://keras.io/guides/serialization_and_saving/#registering-the-custom-object
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from clipcheck.edit import AddDecorator, Fix, NeedImport, safe
from clipcheck.finding import Finding
from clipcheck.model.classes import CustomClass
from clipcheck.model.saving import SavedNetwork
from clipcheck.model.script import Script
from clipcheck.model.value import Instance
from clipcheck.outline import Outline
from clipcheck.outline.classes import clipping_pieces, may_be_of_keras, may_clip
from clipcheck.rule import Rule, Severity, note

_LAMBDA = rb"constraint\s*=[\s(]*lambda\b"
_NAMED = re.compile(r"custom_?objects?", re.IGNORECASE)


class UnregisteredCustomObject(Rule):
    code = "CLP503"
    name = "unregistered-custom-object"
    severity = Severity.WARNING
    screen = (rb"keras", rb"onstraint|clip|clamp", rb"save|ModelCheckpoint", rb"\.(?:keras|h5|hdf5)\b")
    why = (
        "The file holds the name of the class only. Loading it raises a TypeError, because Keras looks that name up "
        "among the classes that are registered, and nowhere else."
    )
    advice = "Decorate the class with `@keras.saving.register_keras_serializable()`."

    def candidate(self, outline: Outline) -> bool:
        if outline.has(rb"custom_object|customobject", re.IGNORECASE):
            return False
        return outline.has(_LAMBDA) or any(
            may_be_of_keras(class_, outline) and may_clip(class_, outline)
            for piece in clipping_pieces(outline)
            for class_ in piece.classes
        )

    def check(self, script: Script) -> Iterator[Finding]:
        saved = script.all(SavedNetwork)
        if not saved or _NAMED.search(script.code(script.module).text):
            return
        for custom in script.all(CustomClass):
            if custom.clips and not custom.decorated:
                by = next((one for one in saved if self.is_part(custom, one, script)), None)
                if by is not None:
                    yield self.finding(
                        custom.code,
                        f"`{custom.name}` is saved with `{by.network.spoken_name}` but not registered: "
                        "the model cannot be loaded",
                        evidence=[note(by.at, "the model is saved here")],
                        fix=self.fix(custom, script),
                    )
        yield from self.lambdas(saved)

    def is_part(self, custom: CustomClass, saved: SavedNetwork, script: Script) -> bool:
        """Whether an object of the class surely is in a saved model."""
        if custom.kind == "constraint":
            return any(self.is_made(argument.code.value, custom) for argument in saved.constraints)
        if custom.kind == "optimizer":
            optimizers = [training.optimizer_code for training in saved.network.trainings]
            return any(code is not None and self.is_made(code.value, custom) for code in optimizers)
        made = [call for call in script.calls if call.class_ is None and self.is_made(call.value, custom)]
        return saved.is_only and bool(made)

    def is_made(self, value: object, custom: CustomClass) -> bool:
        return isinstance(value, Instance) and value.local and value.of == custom.name

    def lambdas(self, saved: tuple[SavedNetwork, ...]) -> Iterator[Finding]:
        seen = set()
        for one in saved:
            for argument in one.constraints:
                if argument.code.is_lambda and argument.node not in seen:
                    seen.add(argument.node)
                    yield self.finding(
                        argument.code,
                        f"`{argument.keyword}={argument.code.words}` is saved with `{one.network.spoken_name}`, which "
                        "then cannot be loaded",
                        why="Keras writes a lambda into the file and refuses to take it back as a constraint.",
                        advice="Write a `keras.constraints.Constraint` with a `get_config`, and register it.",
                        evidence=[note(one.at, "the model is saved here")],
                    )

    def fix(self, custom: CustomClass, script: Script) -> Fix:
        is_keras_3 = custom.library == "keras" and not script.targets.saves_like_keras_2
        place = "keras.saving" if is_keras_3 else f"{custom.library}.utils"
        spelling = custom.code.spell(f"{place}.register_keras_serializable")
        return safe(
            f"Register `{custom.name}`",
            AddDecorator(custom.node, f"{spelling.text}()"),
            *(NeedImport(module, name) for module, name in spelling.imports),
        )
