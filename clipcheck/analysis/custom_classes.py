"""Reads the custom Keras objects of a file: their `__init__` and what their `get_config` returns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from clipcheck.analysis.configs import read_config
from clipcheck.analysis.scopes import parameters
from clipcheck.frameworks import CLIPS, GRADIENT_CLIPS
from clipcheck.frameworks.keras import ABSTRACT_BASES, BASE_ARGUMENTS, CONFIG_KEYS
from clipcheck.model.classes import CustomClass, Init, InitParameter
from clipcheck.model.code import Call, Code

if TYPE_CHECKING:
    from clipcheck.analysis.reading import FileReading

_REGISTER = "keras.saving.register_keras_serializable"
_KINDS = ("constraint", "layer", "optimizer")
_GETTERS = frozenset(f"keras.{name}.get" for name in "constraints initializers regularizers activations".split())
_CLIPS = CLIPS.keys() | GRADIENT_CLIPS.keys()
_NUMBERS = frozenset(f"builtins.{name}" for name in "float int bool str abs tuple list".split())


def read_custom_classes(reading: FileReading) -> Iterator[CustomClass]:
    """The constraints, layers and optimizers that the file defines on top of Keras, where all bases are known."""
    for class_ in reading.tree.all(cst.ClassDef):
        kind = reading.classes.kind(class_)
        bases = framework_bases(reading, class_)
        if kind not in _KINDS or not bases or not all(base.startswith("keras.") for base in bases):
            continue
        if _assigns_method(reading, class_):
            continue
        methods = _methods(reading, class_)
        yield CustomClass(
            node=class_,
            code=reading.code(class_.name),
            name=class_.name.value,
            kind=kind,
            library=_library(reading, class_),
            init=_init(reading, class_),
            config=read_config(reading, class_),
            base_keys=CONFIG_KEYS[kind],
            base_arguments=BASE_ARGUMENTS[kind],
            plain_base=bases <= ABSTRACT_BASES,
            attributes=_attributes(reading, class_).union(methods),
            clips=kind == "constraint" or any(_clips(reading, current) for current in reading.classes.chain(class_)),
            rebuilds="from_config" in methods,
            decorated=bool(class_.decorators) or _is_registered_by_call(reading, class_),
            methods=methods,
            super_call=_super_call(reading, class_),
        )


def framework_bases(reading: FileReading, class_: cst.ClassDef) -> frozenset[str]:
    """The canonical names of the bases that are not of this file; "" for one that has none."""
    found: set[str] = set()
    for current in reading.classes.chain(class_):
        for base in current.bases:
            if reading.values.local_class(reading.value(base.value)) is None:
                found.add(reading.api(base.value) or "")
    return frozenset(found - {"builtins.object"})


def _library(reading: FileReading, class_: cst.ClassDef) -> str:
    for current in reading.classes.chain(class_):
        for base in current.bases:
            for name in reading.names(base.value):
                if name.startswith("tensorflow."):
                    return "tensorflow.keras"
                if name.startswith("tf_keras."):
                    return "tf_keras"
    return "keras"


def _methods(reading: FileReading, class_: cst.ClassDef) -> dict[str, Code]:
    found: dict[str, Code] = {}
    for current in reading.classes.chain(class_):
        for statement in current.body.body:
            if isinstance(statement, cst.FunctionDef):
                found.setdefault(statement.name.value, reading.code(statement.name))
    return found


def _assigns_method(reading: FileReading, class_: cst.ClassDef) -> bool:
    """Whether `__init__` or `get_config` is something else than a function: nothing is known of it then."""
    for current in reading.classes.chain(class_):
        for name in ("__init__", "get_config", "from_config"):
            bindings = reading.scopes.own(current).bindings.get(name, [])
            if any(not isinstance(binding.node, cst.FunctionDef) for binding in bindings) or len(bindings) > 1:
                return True
    return False


def _attributes(reading: FileReading, class_: cst.ClassDef) -> frozenset[str]:
    found: set[str] = set()
    for current in reading.classes.chain(class_):
        found.update(reading.scopes.attributes.get(current, {}))
    return frozenset(found)


def _is_registered_by_call(reading: FileReading, class_: cst.ClassDef) -> bool:
    """`register_keras_serializable()(Clip)`."""
    registered = [
        arg.value
        for call in reading.tree.all(cst.Call)
        if isinstance(call.func, cst.Call) and reading.api(call.func.func) == _REGISTER
        for arg in call.args
    ]
    return any(reading.values.local_class(reading.value(value)) is class_ for value in registered)


def _super_call(reading: FileReading, class_: cst.ClassDef) -> str:
    for node in reading.tree.below(class_.body):
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Name) and node.func.value == "super":
            return reading.text(node)
    return "super()"


def _init(reading: FileReading, class_: cst.ClassDef) -> Init | None:
    function = reading.origins.method(class_, "__init__")
    if function is None:
        return None
    calls = [Call(node, reading) for node in reading.calls_in(function.body)]
    calls = [call for call in calls if call.method == "__init__" and call.receiver is not None]
    own = [param for param in parameters(function) if param.star not in ("*", "**")][1:]
    kwargs = function.params.star_kwarg
    super_calls = [call for call in calls if isinstance(call.receiver, Call)]
    return Init(
        node=function,
        code=reading.code(function.name),
        parameters=tuple(_parameter(reading, class_, function, param, calls) for param in own),
        takes_kwargs=kwargs is not None,
        takes_args=isinstance(function.params.star_arg, cst.Param),
        kwargs_go_up=kwargs is not None and _goes_up(reading, function, kwargs, calls),
        super_call=super_calls[0] if len(super_calls) == len(calls) == 1 else None,
        own=reading.class_of(function) is class_,
    )


def _goes_up(reading: FileReading, function: cst.FunctionDef, kwargs: cst.Param, calls: list[Call]) -> bool:
    """Whether `**kwargs` is handed to the base's `__init__` and used nowhere else."""
    uses = [
        node
        for node in reading.tree.below(function.body)
        if isinstance(node, cst.Name) and node.value == kwargs.name.value
    ]
    return len(uses) == 1 and any(arg.star == "**" and arg.value is uses[0] for call in calls for arg in call.node.args)


def _parameter(
    reading: FileReading, class_: cst.ClassDef, function: cst.FunctionDef, param: cst.Param, calls: list[Call]
) -> InitParameter:
    attribute, getter = _kept(reading, class_, function, param)
    return InitParameter(
        name=param.name.value,
        code=reading.code(param),
        required=param.default is None,
        attribute=attribute,
        getter=getter,
        handed_up=any(_mentions(reading, arg, param.name.value) for call in calls for arg in call.node.args),
        is_used=_mentions(reading, function.body, param.name.value),
        is_object=any(
            isinstance(node, (cst.Attribute, cst.Call))
            and isinstance(part := node.value if isinstance(node, cst.Attribute) else node.func, cst.Name)
            and part.value == param.name.value
            for node in reading.tree.below(function.body)
        ),
    )


def _mentions(reading: FileReading, node: cst.CSTNode, name: str) -> bool:
    return any(
        isinstance(below, cst.Name) and below.value == name and not isinstance(reading.parent(below), cst.Attribute)
        for below in reading.tree.below(node.value if isinstance(node, cst.Arg) else node)
    )


def _kept(
    reading: FileReading, class_: cst.ClassDef, function: cst.FunctionDef, param: cst.Param
) -> tuple[str | None, str | None]:
    """The attribute that keeps a parameter, and the module through whose `get` it went."""
    for name, bindings in reading.scopes.attributes.get(reading.class_of(function) or class_, {}).items():
        kept = [_getter(reading, binding.value, param.name.value) for binding in bindings if binding.value is not None]
        if len(bindings) == len(kept) == 1 and kept[0] is not None and reading.function(bindings[0].node) is function:
            return name, kept[0] or None
    return None, None


def _getter(reading: FileReading, value: cst.BaseExpression, name: str) -> str | None:
    """How an expression keeps a parameter: "" as it is, "constraints" through `constraints.get`; None: not at all."""
    if isinstance(value, cst.Name):
        return "" if value.value == name else None
    if isinstance(value, cst.BooleanOperation) and isinstance(value.operator, cst.Or):
        return _getter(reading, value.left, name)
    if isinstance(value, cst.IfExp):
        return next((found for v in (value.body, value.orelse) if (found := _getter(reading, v, name)) == ""), None)
    if isinstance(value, cst.Call) and len(value.args) == 1 and _getter(reading, value.args[0].value, name) == "":
        api = reading.api(value.func)
        if api in _GETTERS and isinstance(value.func, cst.Attribute):
            return reading.text(value.func.value)
        if api in _NUMBERS:
            return ""
    return None


def _clips(reading: FileReading, class_: cst.ClassDef) -> bool:
    """Whether values or gradients are clipped in a class."""
    return any((reading.api(call.func) or "") in _CLIPS for call in reading.calls_in(class_.body))
