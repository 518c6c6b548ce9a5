"""Which layers make up a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst
from msgspec import Struct, field

from clipcheck.analysis.scopes import Binding, Kind
from clipcheck.frameworks import LAYERS
from clipcheck.frameworks.keras import BATCH_NORMALIZATION, CONSTRAINT_ARGUMENTS, REMOVED_CONSTRAINT_ARGUMENTS, WRAPPERS
from clipcheck.frameworks.torch import NORMALIZATION
from clipcheck.model.code import Argument, Call
from clipcheck.model.networks import NetworkLayer
from clipcheck.model.value import Constant

if TYPE_CHECKING:
    from clipcheck.analysis.reading import FileReading

_INPUTS = frozenset({"keras.layers.Input", "keras.layers.InputLayer"})
_MODELS = frozenset({"keras.Sequential", "keras.Model"})
_OPAQUE = frozenset(
    f"keras.layers.{name}"
    for name in "RNN Layer Wrapper StackedRNNCells TFSMLayer TorchModuleWrapper JaxLayer FlaxLayer Attention".split()
)
"""Layers that may own weights which cannot be seen, or cannot be constrained, from outside."""
_SWITCHES = {
    "use_bias": "bias_constraint",
    "center": "beta_constraint",
    "scale": "gamma_constraint",
}
"""The arguments by which a layer goes without one of its weights."""


class LayerSet(Struct):
    """The layers found so far; `is_complete` while nothing was met that may hide others."""

    layers: dict[cst.Call, NetworkLayer] = field(default_factory=dict)
    is_complete: bool = True

    def add(self, layer: NetworkLayer) -> None:
        self.layers[layer.call.node] = layer

    def in_order(self, reading: FileReading) -> list[NetworkLayer]:
        return sorted(self.layers.values(), key=lambda layer: reading.tree.order[layer.call.node])


def keras_layers(reading: FileReading, maker: cst.CSTNode, class_: cst.ClassDef | None) -> LayerSet:
    collector = _KerasLayers(reading)
    collector.model(maker, class_)
    return collector.found


def torch_layers(reading: FileReading, maker: cst.CSTNode, class_: cst.ClassDef | None) -> LayerSet:
    collector = _TorchLayers(reading)
    collector.module(maker, class_)
    return collector.found


def keras_layer(call: Call) -> NetworkLayer | None:
    """What a call that makes a Keras layer makes; None if it makes none, or a model."""
    api = call.callee.api or ""
    if not api.startswith("keras.layers.") or api in _INPUTS or not api.rpartition(".")[2][:1].isupper():
        return None
    if api in WRAPPERS:
        return _wrapped(call, api)
    known = LAYERS.get(api)
    if known is None:
        return NetworkLayer(api, call, call, unconstrainable=api in _OPAQUE)
    under_old_names = {REMOVED_CONSTRAINT_ARGUMENTS.get(argument.keyword or "") for argument in _given(call)}
    free = [name for name in known.constraints if name not in under_old_names]
    constrainable = tuple(name for name in free if not _is_off(call, name))
    return NetworkLayer(
        api=api,
        call=call,
        owner=call,
        constrainable=constrainable,
        given=_given(call),
        normalization=known.normalization,
        moving_statistics=api in BATCH_NORMALIZATION,
        unconstrainable=known.unconstrainable or call.has_star,
    )


def _wrapped(call: Call, api: str) -> NetworkLayer:
    inner = call.argument(0, "layer")
    layer = keras_layer(inner.code) if inner is not None and isinstance(inner.code, Call) else None
    if layer is None:
        return NetworkLayer(api, call, call, unconstrainable=True)
    backward = call.argument(None, "backward_layer")
    return NetworkLayer(
        api=layer.api,
        call=call,
        owner=layer.owner,
        constrainable=layer.constrainable,
        given=layer.given,
        normalization=layer.normalization,
        moving_statistics=layer.moving_statistics,
        unconstrainable=layer.unconstrainable or backward is not None,
    )


def _given(call: Call) -> tuple[Argument, ...]:
    return tuple(
        argument
        for argument in call.arguments
        if argument.keyword in CONSTRAINT_ARGUMENTS | REMOVED_CONSTRAINT_ARGUMENTS.keys()
        and argument.code.value != Constant(None)
    )


def _is_off(call: Call, constraint: str) -> bool:
    for switch, name in _SWITCHES.items():
        argument = call.argument(None, switch)
        if name == constraint and argument is not None and argument.code.value == Constant(False):
            return True
    return False


class _KerasLayers:
    """Follows a Keras model to its layers."""

    def __init__(self, reading: FileReading) -> None:
        self.reading = reading
        self.found = LayerSet()
        self._seen: set[cst.CSTNode] = set()
        self._calls: list[cst.Call] = []
        """The calls of builder functions that are being read, the innermost last."""

    def model(self, maker: cst.CSTNode, class_: cst.ClassDef | None) -> None:
        if maker in self._seen:
            return
        self._seen.add(maker)
        if class_ is not None:
            self._class(class_)
        elif isinstance(maker, cst.Call):
            call = Call(maker, self.reading)
            if call.callee.api == "keras.Sequential":
                self._sequential(call)
            else:
                self._functional(call)

    def _sequential(self, call: Call) -> None:
        given = call.argument(0, "layers")
        if given is not None:
            self._list(given.node.value)
        for added in self.reading.tree.all(cst.Call):
            func = added.func
            if not isinstance(func, cst.Attribute) or func.attr.value != "add" or len(added.args) != 1:
                continue
            if call.node in self.reading.origins.of(func.value):
                self._layer(added.args[0].value)

    def _list(self, node: cst.BaseExpression) -> None:
        for origin in self.reading.origins.of(node):
            if isinstance(origin, cst.BinaryOperation):
                self._list(origin.left)
                self._list(origin.right)
            elif isinstance(origin, (cst.List, cst.Tuple)):
                self._appended(node)
                for element in origin.elements:
                    if isinstance(element, cst.StarredElement):
                        self._list(element.value)
                    else:
                        self._layer(element.value)
            elif isinstance(origin, (cst.ListComp, cst.GeneratorExp)):
                self._layer(origin.elt)
            else:
                self.found.is_complete = False

    def _appended(self, node: cst.BaseExpression) -> None:
        """The list is a variable: what is appended to it, if anything, is not followed."""
        if not isinstance(node, (cst.List, cst.Tuple)):
            text = self.reading.text(node)
            for call in self.reading.tree.all(cst.Call):
                func = call.func
                if isinstance(func, cst.Attribute) and self.reading.text(func.value) == text:
                    if func.attr.value == "append" and len(call.args) == 1:
                        self._layer(call.args[0].value)
                    else:
                        self.found.is_complete = False

    def _layer(self, node: cst.BaseExpression) -> None:
        """An expression that is used as a layer."""
        origins = self.reading.origins.of(node)
        if not origins:
            self.found.is_complete = False
        for origin in origins:
            self._made(origin)

    def _made(self, origin: cst.CSTNode) -> None:
        if isinstance(origin, cst.ClassDef) or not isinstance(origin, cst.Call):
            self.found.is_complete = False
            return
        call = Call(origin, self.reading)
        api = call.callee.api or ""
        if api in _INPUTS:
            return
        if api in _MODELS:
            self.model(origin, None)
            return
        if api.startswith("__main__."):
            self._own_class(origin, api.removeprefix("__main__."))
            return
        layer = keras_layer(call)
        if layer is not None:
            self.found.add(layer)
        else:
            self.found.is_complete = False

    def _own_class(self, call: cst.Call, name: str) -> None:
        class_ = next((c for c in self.reading.tree.all(cst.ClassDef) if c.name.value == name), None)
        kind = self.reading.classes.kind(class_) if class_ is not None else None
        if class_ is None or kind not in ("layer", "model"):
            self.found.is_complete = False
        else:
            self._class(class_)

    def _class(self, class_: cst.ClassDef) -> None:
        """The layers that the methods of a custom layer or model make."""
        if class_ in self._seen:
            return
        self._seen.add(class_)
        for base in class_.bases:
            above = self.reading.values.local_class(self.reading.value(base.value))
            if above is not None:
                self._class(above)
            elif (self.reading.api(base.value) or "") not in ("keras.layers.Layer", *_MODELS):
                self.found.is_complete = False
        for node in self.reading.tree.below(class_.body):
            if isinstance(node, cst.Call):
                self._call_in_class(node)

    def _call_in_class(self, node: cst.Call) -> None:
        if isinstance(node.func, cst.Attribute) and node.func.attr.value in ("add_weight", "add_variable"):
            self.found.is_complete = False
            return
        api = self.reading.api(node.func) or ""
        if api in ("keras.Variable", "tensorflow.Variable"):
            self.found.is_complete = False
        elif api.startswith("__main__."):
            name = api.removeprefix("__main__.")
            class_ = next((c for c in self.reading.tree.all(cst.ClassDef) if c.name.value == name), None)
            if class_ is not None and self.reading.classes.kind(class_) in ("layer", "model"):
                self._class(class_)
        elif not self._is_inner(node):
            layer = keras_layer(Call(node, self.reading))
            if layer is not None:
                self.found.add(layer)

    def _is_inner(self, node: cst.Call) -> bool:
        """Whether a call makes the layer that a wrapper around it holds."""
        arg = self.reading.parent(node)
        wrapper = self.reading.parent(arg) if arg is not None else None
        return isinstance(wrapper, cst.Call) and self.reading.api(wrapper.func) in WRAPPERS

    def _functional(self, call: Call) -> None:
        outputs = call.argument(1, "outputs", "output")
        if outputs is None:
            self.found.is_complete = False
            return
        self._tensor(outputs.node.value)

    def _tensor(self, node: cst.CSTNode) -> None:
        """Follows a symbolic tensor back to the inputs, through the layers that are applied to it."""
        if node in self._seen:
            return
        self._seen.add(node)
        if isinstance(node, cst.Name):
            self._tensor_name(node)
        elif isinstance(node, cst.Call):
            self._applied(node)
        elif isinstance(node, cst.Attribute):
            self._tensor_attribute(node)
        elif isinstance(node, (cst.Integer, cst.Float, cst.SimpleString)):
            return
        elif isinstance(node, (cst.List, cst.Tuple, cst.BinaryOperation, cst.UnaryOperation, cst.IfExp, cst.Subscript)):
            for child in self._parts(node):
                self._tensor(child)
        else:
            self.found.is_complete = False

    def _parts(self, node: cst.CSTNode) -> list[cst.CSTNode]:
        if isinstance(node, (cst.List, cst.Tuple)):
            return [element.value for element in node.elements]
        if isinstance(node, cst.BinaryOperation):
            return [node.left, node.right]
        if isinstance(node, cst.UnaryOperation):
            return [node.expression]
        if isinstance(node, cst.IfExp):
            return [node.body, node.orelse]
        assert isinstance(node, cst.Subscript)
        return [node.value]

    def _tensor_name(self, node: cst.Name) -> None:
        bindings = self.reading.flow.reaching(node)
        if not bindings and node.value not in ("None", "True", "False"):
            self.found.is_complete = False
        for binding in bindings:
            self._tensor_binding(binding)

    def _tensor_binding(self, binding: Binding) -> None:
        if binding.kind in (Kind.ASSIGN, Kind.AUGMENT) and binding.value is not None:
            self._tensor(binding.value)
        elif binding.kind is Kind.PARAMETER and isinstance(binding.node, cst.Param):
            function = binding.scope.node
            given = self.reading.origins.given(binding.node, function) if isinstance(function, cst.FunctionDef) else []
            for value in given:
                if not self._calls or any(call is self._call_around(value) for call in self._calls):
                    self._tensor(value)
        else:
            self.found.is_complete = False

    def _call_around(self, value: cst.CSTNode) -> cst.CSTNode | None:
        for above in self.reading.tree.ancestors(value):
            if isinstance(above, cst.Call):
                return above
        return None

    def _tensor_attribute(self, node: cst.Attribute) -> None:
        if node.attr.value in ("output", "outputs"):
            self._layer(node.value)
            return
        for origin in self.reading.origins.of(node):
            if origin is node:
                self.found.is_complete = False
            else:
                self._tensor(origin)

    def _applied(self, node: cst.Call) -> None:
        """A call in a functional model: a layer or model applied, an operation, or a helper of the file."""
        call = Call(node, self.reading)
        api = call.callee.api or ""
        if api in _INPUTS:
            return
        function = self.reading.origins.function(node)
        if function is not None:
            self._calls.append(node)
            for returned in self.reading.origins.returns(function):
                self._tensor(returned)
            self._calls.pop()
            return
        for argument in node.args:
            if argument.keyword is None or argument.keyword.value in ("inputs", "x", "tensors"):
                self._tensor(argument.value)
        if api.startswith(("tensorflow.", "keras.ops.", "keras.backend.", "builtins.")) or _is_layer_function(api):
            return
        if "." in api and not api.startswith("__main__."):
            self.found.is_complete = False  # an imported function or model
            return
        self._layer(node.func)


def _is_layer_function(api: str) -> bool:
    """`keras.layers.concatenate`, `add`, …: layers without weights, as functions."""
    namespace, _, name = api.rpartition(".")
    return namespace in ("keras.layers", "keras.activations") and name[:1].islower()


class _TorchLayers:
    """Follows a torch module to the modules that its class and helpers make."""

    def __init__(self, reading: FileReading) -> None:
        self.reading = reading
        self.found = LayerSet()
        self._seen: set[cst.CSTNode] = set()

    def module(self, maker: cst.CSTNode, class_: cst.ClassDef | None) -> None:
        if class_ is not None:
            self._class(class_)
        else:
            self._within(maker)

    def _class(self, class_: cst.ClassDef) -> None:
        if class_ in self._seen:
            return
        self._seen.add(class_)
        for base in class_.bases:
            above = self.reading.values.local_class(self.reading.value(base.value))
            if above is not None:
                self._class(above)
            elif not (self.reading.api(base.value) or "").endswith(("nn.Module", "nn.Sequential", "LightningModule")):
                self.found.is_complete = False
        self._within(class_.body)

    def _within(self, node: cst.CSTNode) -> None:
        for below in self.reading.tree.below(node):
            if isinstance(below, cst.Call):
                self._call(below)
            elif isinstance(below, cst.Name) and isinstance(self.reading.parent(below), (cst.StarredElement, cst.Arg)):
                self._variable(below)

    def _variable(self, node: cst.Name) -> None:
        """A list of layers that is handed to `nn.Sequential(*layers)`."""
        for binding in self.reading.flow.reaching(node):
            if binding.kind is Kind.ASSIGN and binding.value is not None and binding.value not in self._seen:
                self._seen.add(binding.value)
                if isinstance(binding.value, (cst.List, cst.Tuple, cst.Call)):
                    self._within(binding.value)

    def _call(self, node: cst.Call) -> None:
        if node in self._seen:
            return
        self._seen.add(node)
        call = Call(node, self.reading)
        api = call.callee.api or ""
        namespace, _, name = api.rpartition(".")
        if namespace == "torch.nn" and name[:1].isupper():
            self.found.add(
                NetworkLayer(
                    api,
                    call,
                    call,
                    normalization="Norm" in name,
                    moving_statistics=api in NORMALIZATION,
                    unconstrainable=name not in ("Sequential", "ModuleList"),
                )
            )
            return
        if api.startswith("__main__."):
            class_ = self._class_named(api.removeprefix("__main__."))
            if class_ is not None:
                if self.reading.classes.kind(class_) == "module":
                    self._class(class_)
                return
        function = self.reading.origins.function(node)
        if function is not None and function not in self._seen:
            self._seen.add(function)
            self._within(function.body)

    def _class_named(self, name: str) -> cst.ClassDef | None:
        return next((c for c in self.reading.tree.all(cst.ClassDef) if c.name.value == name), None)
