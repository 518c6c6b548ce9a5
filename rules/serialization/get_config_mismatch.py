"""`get_config` and `__init__` of a custom object do not fit each other.

## What it does
Compares what `get_config` returns with what `__init__` takes, in constraints and in layers and optimizers in which
something is clipped.

## Why it is wrong
Keras makes a saved object again by calling its class with the dict that `get_config` returned. A key that `__init__`
does not take raises a TypeError when the model is loaded; a parameter that is left out comes back as its default,
silently: a model then goes on training with another bound, or with no constraint at all.

## Example
```python
class WeightClip(keras.constraints.Constraint):
    def __init__(self, c=0.01):
        self.c = c

    def __call__(self, w):
        return keras.ops.clip(w, -self.c, self.c)

    def get_config(self):
        return {"name": self.__class__.__name__, "c": self.c}
```

## Use instead
```python
class WeightClip(keras.constraints.Constraint):
    def __init__(self, c=0.01):
        self.c = c

    def __call__(self, w):
        return keras.ops.clip(w, -self.c, self.c)

    def get_config(self):
        return {"c": self.c}
```

## Fix
Drops the keys that `__init__` does not take, adds the parameters that are left out, and lets a layer's `__init__` take
`**kwargs`. Safe: only what is saved changes. There is no fix where the keys do not stand together in one dict, or where
a parameter is not kept in an attribute as it was given.

## Not flagged
Constraints that do not call `super().get_config()`: it returns nothing. Classes with a `from_config` of their own, keys
that `**kwargs` takes in, parameters that the base keeps.

## Sources
https://keras.io/guides/serialization_and_saving/#custom-objects
https://github.com/keras-team/keras/blob/master/keras/src/constraints/constraints.py
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from clipcheck.edit import AddArgument, AddEntry, DropArgument, DropEntry, Edit, Fix, Remove, Replace, safe
from clipcheck.finding import Finding
from clipcheck.frameworks.keras import CONFIG_KEYS
from clipcheck.model.classes import Config, ConfigKey, CustomClass, Init, InitParameter
from clipcheck.model.script import Script
from clipcheck.outline import Outline, last_name, walk
from clipcheck.outline.classes import (
    Function,
    clipping_pieces,
    inherited,
    lineage,
    may_be_constraint,
    may_be_of_keras,
    may_clip,
    method,
    parameters,
    pieces,
)
from clipcheck.rule import Rule, note

from ._writing import entries, listed, take_kwargs


class GetConfigMismatch(Rule):
    code = "CLP502"
    name = "get-config-mismatch"
    screen = (rb"get_config", rb"keras|tensorflow", rb"onstraint|clip|clamp")
    why = (
        "Keras calls the class with what `get_config` returned to load a saved model. A key that `__init__` does not "
        "take raises a TypeError then; a parameter that is left out silently comes back as its default."
    )
    advice = "Return the parameters of `__init__` from `get_config`, all of them and nothing else."

    def candidate(self, outline: Outline) -> bool:
        near = pieces(outline) if _may_lose_constraint(outline) else clipping_pieces(outline)
        return any(_may_be_unlike(class_, outline) for piece in near for class_ in piece.classes)

    def check(self, script: Script) -> Iterator[Finding]:
        for custom in script.all(CustomClass):
            config, init = custom.config, custom.init
            if config is None or custom.rebuilds or not (config.own or (init is not None and init.own)):
                continue
            if custom.clips:
                yield from self.unusable(custom, config)
            if init is not None:
                yield from self.unlike(custom, config, init)

    def unlike(self, custom: CustomClass, config: Config, init: Init) -> Iterator[Finding]:
        extra = [
            key
            for key in config.keys
            if custom.clips and key.sure and key.own and config.own and not self.takes(custom, init, key.name)
        ]
        left_out = self.left_out(custom, config, init)
        refused = self.refused_base_keys(custom, config, init) if custom.clips else []
        if not extra and not left_out and not refused:
            return
        wrong = []
        if extra or refused:
            wrong.append(f"returns {listed([*(k.name for k in extra), *refused])}, which `__init__` does not take")
        if left_out:
            wrong.append(f"leaves out {listed(p.name for p in left_out)}")
        yield self.finding(
            extra[0].code if extra else config.code,
            f"`get_config` of `{custom.name}` {', and '.join(wrong)}",
            evidence=[
                *(note(key.code, "`__init__` does not take this") for key in extra[1:]),
                *(note(parameter.code, "this is not saved") for parameter in left_out),
                note(init.code, "the `__init__` that is called with it"),
            ],
            fix=self.fix(custom, config, init, extra, left_out, bool(refused)),
        )

    def takes(self, custom: CustomClass, init: Init, key: str) -> bool:
        """Whether `__init__` takes a key, or may do so."""
        if init.takes_args or init.parameter(key) is not None:
            return True
        if not init.takes_kwargs:
            return False
        return not (custom.kind == "layer" and custom.plain_base and init.kwargs_go_up and init.super_call) or (
            key in custom.base_arguments
        )

    def refused_base_keys(self, custom: CustomClass, config: Config, init: Init) -> list[str]:
        """The keys of the base's own config that `__init__` does not take."""
        if not config.merges_base or init.takes_kwargs or init.takes_args:
            return []
        own = {key.name for key in config.keys}
        return sorted(key for key in custom.base_keys - config.removed - own if init.parameter(key) is None)

    def left_out(self, custom: CustomClass, config: Config, init: Init) -> list[InitParameter]:
        """The parameters that surely are not saved, if they bear on a clip."""
        if not config.is_complete:
            return []
        lost = [
            parameter
            for parameter in init.parameters
            if config.key(parameter.name) is None
            and parameter.name not in config.removed | custom.base_arguments
            and not parameter.handed_up
            and (parameter.attribute is not None or (parameter.required and custom.plain_base))
        ]
        return lost if custom.clips or any(parameter.is_constraint for parameter in lost) else []

    def unusable(self, custom: CustomClass, config: Config) -> Iterator[Finding]:
        """A `get_config` that raises as soon as it is called."""
        if config.needed and config.own:
            yield self.finding(
                config.code,
                f"`get_config` of `{custom.name}` wants {listed(config.needed)}, which nobody hands to it",
                why="Keras calls `get_config` without arguments when a model is saved: this raises a TypeError.",
                advice="Take no parameter but `self`.",
            )
        for key in config.keys:
            if custom.kind == "constraint" and custom.plain_base and key.own and self.is_unset(custom, key):
                parameter = custom.init.parameter(key.name) if custom.init is not None else None
                kept = parameter.config_value if parameter is not None else None
                yield self.finding(
                    key.value,
                    f"`get_config` of `{custom.name}` reads `{key.value.words}`, which is never set",
                    why="Saving a model calls `get_config`, which raises an AttributeError here.",
                    advice="Return the attribute that `__init__` sets.",
                    fix=safe(f"Return `{kept}`", Replace(key.value.node, kept)) if kept is not None else None,
                )

    def is_unset(self, custom: CustomClass, key: ConfigKey) -> bool:
        attribute = key.attribute
        return attribute is not None and not attribute.startswith("__") and attribute not in custom.attributes

    def fix(
        self,
        custom: CustomClass,
        config: Config,
        init: Init,
        extra: list[ConfigKey],
        left_out: list[InitParameter],
        takes_too_little: bool,
    ) -> Fix | None:
        edits: list[Edit] = []
        if takes_too_little:
            if not init.may_hand_up_kwargs:
                return None
            edits += take_kwargs(init)
        for key in extra:
            meant = next((p for p in left_out if p.config_value == key.value.text), None)
            if meant is not None and key.written is not None:
                quote = key.written.text[-1]
                edits.append(Replace(key.written.node, f"{quote}{meant.name}{quote}"))
                left_out = [parameter for parameter in left_out if parameter is not meant]
            elif key.entry is not None and config.display is not None:
                edits.append(DropEntry(config.display, key.entry))
            elif key.argument_of is not None and key.argument is not None:
                edits.append(DropArgument(key.argument_of.node, key.argument))
            elif key.statement is not None:
                edits.append(Remove(key.statement.node))
            else:
                return None
        if left_out:
            added = self.added(config, left_out)
            if added is None:
                return None
            edits += added
        return safe(f"Let `get_config` of `{custom.name}` return what `__init__` takes", *edits)

    def added(self, config: Config, left_out: list[InitParameter]) -> list[Edit] | None:
        if config.display is not None:
            singly = config.quotes_singly
            written = entries(left_out, "'" if singly else '"')
            return None if written is None else [AddEntry(config.display, entry) for entry in written]
        if config.arguments is not None and all(parameter.config_value for parameter in left_out):
            call = config.arguments.node
            return [AddArgument(call, f"{p.name}={p.config_value}") for p in left_out]
        return None


_BASE_KEYS = frozenset[str]().union(*CONFIG_KEYS.values())
_MAKING = frozenset({"dict", "OrderedDict", "update"})


def _may_lose_constraint(outline: Outline) -> bool:
    """Whether some `__init__` takes a constraint that is not in each `get_config` of the file."""
    if not outline.has(rb"onstraint"):
        return False
    methods = [node for node in outline.nodes_at(rb"\bdef\s+(?:__init__|get_config)\b") if isinstance(node, Function)]
    taken = {name for each in methods if each.name == "__init__" for name in _constraints(each) - _handed_up(each)}
    return any(not taken <= _keys(each) for each in methods if each.name == "get_config")


def _constraints(init: Function) -> set[str]:
    return {parameter.arg for parameter in parameters(init) if parameter.arg.endswith("constraint")}


def _may_be_unlike(class_: ast.ClassDef, outline: Outline) -> bool:
    """Whether `get_config` and `__init__` may not be about the same, one of them the class's own."""
    config, init = inherited(class_, "get_config", outline), inherited(class_, "__init__", outline)
    if config is None or not (method(class_, "get_config") or method(class_, "__init__")):
        return False
    if method(class_, "from_config") or not may_be_of_keras(class_, outline):
        return False
    clips = may_clip(class_, outline)
    if clips and (_takes_more(config) or _reads_unset(config, class_, outline)):
        return True
    return init is not None and _are_unlike(config, init, class_, outline, clips)


def _are_unlike(config: Function, init: Function, class_: ast.ClassDef, outline: Outline, clips: bool) -> bool:
    keys, names = _keys(config), {parameter.arg for parameter in parameters(init)}
    merges = any(isinstance(node, ast.Call) and last_name(node.func) == "get_config" for node in walk(config))
    above = next((found for each in lineage(class_, outline)[1:] if (found := method(each, "get_config"))), None)
    inner = _keys(above) if merges and above is not None else set()
    lost = names - keys - inner - _handed_up(init)
    if any(clips or name.endswith("constraint") for name in lost):
        return True
    if not clips or init.args.vararg is not None:
        return False
    return bool(keys - names) or (merges and init.args.kwarg is None and bool(_BASE_KEYS - names - keys))


def _takes_more(config: Function) -> bool:
    given = config.args
    needed = len(given.posonlyargs) + len(given.args) - len(given.defaults)
    return needed > 1 or None in given.kw_defaults


def _reads_unset(config: Function, class_: ast.ClassDef, outline: Outline) -> bool:
    """Whether a constraint's `get_config` reads an attribute that nothing in the class sets."""
    if not may_be_constraint(class_, outline):
        return False
    nodes = [node for each in lineage(class_, outline) for node in walk(each)]
    bound = {last_name(n) for n in nodes if isinstance(getattr(n, "ctx", None), ast.Store)}
    bound |= {n.name for n in nodes if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    return any(
        isinstance(n, ast.Attribute) and n.attr not in bound and last_name(n.value) == "self" for n in walk(config)
    )


def _handed_up(init: Function) -> set[str]:
    """What goes to the `__init__` of a base."""
    calls = [n for n in walk(init) if isinstance(n, ast.Call) and last_name(n.func) == "__init__"]
    return {n.id for call in calls for n in walk(call) if isinstance(n, ast.Name)}


def _keys(config: Function) -> set[str]:
    """The keys of what `get_config` returns, where they are written down."""
    nodes = list(walk(config))
    found: set[str] = set()
    seen: set[str] = set()
    todo: list[ast.expr | None] = [node.value for node in nodes if isinstance(node, ast.Return)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Dict):
            found |= _texts(node.keys)
            todo += [value for key, value in zip(node.keys, node.values, strict=True) if key is None]
        elif isinstance(node, ast.Call):
            makes = last_name(node.func) in _MAKING
            found |= {keyword.arg for keyword in node.keywords if keyword.arg is not None and makes}
            todo += [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg is None)]
            todo += [node.func.value] if isinstance(node.func, ast.Attribute) else []
        elif isinstance(node, ast.BinOp):
            todo += [node.left, node.right]
        elif isinstance(node, ast.Name) and node.id not in seen:
            seen.add(node.id)
            more, keys = _put_into(node.id, nodes)
            todo += more
            found |= keys
    return found


def _put_into(name: str, nodes: list[ast.AST]) -> tuple[list[ast.expr], set[str]]:
    """What a variable is given, with what is merged into it, and the keys that are set one by one."""
    values: list[ast.expr] = []
    keys: set[str] = set()
    for node in nodes:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and target.id == name and node.value is not None:
                    values.append(node.value)
                elif isinstance(target, ast.Subscript) and last_name(target.value) == name:
                    keys |= _texts([target.slice])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and last_name(node.func.value) == name:
            values.append(node)
    return values, keys


def _texts(nodes: Sequence[ast.expr | None]) -> set[str]:
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
