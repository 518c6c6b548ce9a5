"""Finds clips that take a tensor to NumPy inside code that a framework traces or differentiates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import libcst as cst

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.learnables import Learnables
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Kind, parameters
from clipcheck.frameworks import TENSOR_METHODS, tensor_library
from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Call, Code
from clipcheck.model.slow_clips import NumpyInGraph
from clipcheck.model.value import Constant, Tensor

_Function: TypeAlias = cst.FunctionDef | cst.Lambda
_GRAPH = ("torch", "tensorflow", "keras")
_MODEL_STEPS = ("train_step", "test_step")
_KEPT_OUT = frozenset({"detach", "cpu", "data", "numpy", "clone"})
_BACK_TO_TORCH = frozenset({"torch.from_numpy", "torch.tensor", "torch.as_tensor", "torch.Tensor", "torch.FloatTensor"})
_EAGER = frozenset({"tensorflow.config.run_functions_eagerly", "tensorflow.config.experimental_run_functions_eagerly"})


def read_graph_clips(reading: FileReading) -> Iterator[NumpyInGraph]:
    """Every clip by NumPy of a tensor in the graph."""
    places = _Places(reading)
    for clip in read_clips(reading):
        if clip.in_place:
            continue
        place = places.around(clip.call.node)
        if place is not None:
            yield from _judged(reading, clip, *place)


class _Places:
    """Which functions of a file run inside a graph."""

    def __init__(self, reading: FileReading) -> None:
        self.reading = reading
        self._losses: frozenset[str] | None = None

    def around(self, node: cst.CSTNode) -> tuple[str, str, _Function] | None:
        """(which code it is, whose tensor functions are at home there, the function), for the code around a node."""
        for above in self.reading.tree.ancestors(node):
            if isinstance(above, cst.ClassDef):
                return None
            if isinstance(above, cst.FunctionDef):
                found = self._method(above) or self._traced(above) or self._loss(above)
                if found is not None:
                    return (*found, above)
            if isinstance(above, cst.Lambda) and self._is_lambda_layer(above):
                return "a `Lambda` layer", self._keras(), above
        return None

    def _is_lambda_layer(self, function: cst.Lambda) -> bool:
        argument = self.reading.parent(function)
        call = self.reading.parent(argument) if isinstance(argument, cst.Arg) else None
        return isinstance(call, cst.Call) and self.reading.api(call.func) == "keras.layers.Lambda"

    def _method(self, function: cst.FunctionDef) -> tuple[str, str] | None:
        scope = self.reading.scopes.own(function).parent
        class_ = scope.node if scope is not None else None
        if not isinstance(class_, cst.ClassDef):
            return None
        kind = self.reading.classes.kind(class_) or ""
        name = function.name.value
        if kind == "module" and name == "forward":
            return f"`{class_.name.value}.forward`", "torch"
        is_step = kind == "model" and name in _MODEL_STEPS
        if kind in ("layer", "model", "constraint", "loss") and (name in TENSOR_METHODS.get(kind, ()) or is_step):
            return f"`{class_.name.value}.{name}`", self._keras()
        return None

    def _traced(self, function: cst.FunctionDef) -> tuple[str, str] | None:
        for decorator in function.decorators:
            node = decorator.decorator
            if self.reading.api(node.func if isinstance(node, cst.Call) else node) == "tensorflow.function":
                return f"the `tf.function` `{function.name.value}`", "tensorflow"
        return None

    def _loss(self, function: cst.FunctionDef) -> tuple[str, str] | None:
        names = [param.name.value for param in parameters(function)]
        if names[:2] != ["y_true", "y_pred"]:
            return None
        enclosing = [above for above in self.reading.tree.ancestors(function) if isinstance(above, cst.FunctionDef)]
        if any(f.name.value in self._compiled_losses() for f in (function, *enclosing)):
            return f"the loss `{function.name.value}`", self._keras()
        return None

    def _compiled_losses(self) -> frozenset[str]:
        """The names of functions that stand in the loss of a `compile`."""
        if self._losses is None:
            found: set[str] = set()
            for node in self.reading.tree.all(cst.Call):
                call = Call(node, self.reading)
                loss = call.argument(1, "loss") if call.method == "compile" else None
                if loss is not None:
                    names = (below for below in self.reading.tree.below(loss.node.value) if isinstance(below, cst.Name))
                    found.update(name.value for name in names)
            self._losses = frozenset(found)
        return self._losses

    def _keras(self) -> str:
        """ "tensorflow" where the file reaches Keras through TensorFlow only."""
        imported = {
            (binding.imported or "").split(".")[0]
            for bindings in self.reading.scopes.module.bindings.values()
            for binding in bindings
            if binding.kind is Kind.IMPORT
        }
        return "tensorflow" if "tensorflow" in imported and "keras" not in imported else "keras"


def _judged(
    reading: FileReading, clip: ValueClip, place: str, framework: str, function: _Function
) -> Iterator[NumpyInGraph]:
    node = clip.subject.node
    if not isinstance(node, cst.BaseExpression) or Learnables(reading).in_no_grad(clip.call.node):
        return
    source, left, renamed = _source(reading, node)
    to_numpy = clip.library == "numpy" or "numpy" in left
    if not to_numpy or not _is_in_graph(reading, source, function, framework):
        return
    detached = bool(left & {"detach", "data"})
    replaced: cst.CSTNode = clip.call.node
    back = _back_to_torch(reading, clip.call.node)
    if framework == "torch" and "numpy" in left:
        if back is None or _is_evaluation(reading, clip.call.node):
            return
        replaced, detached = back, True
    elif detached or back is not None:
        return  # torch makes tensors of arrays: what is clipped is one
    code = None if renamed else reading.code(replaced)
    yield NumpyInGraph(clip, reading.code(source), place, framework, code, detached, _is_eager(reading))


def _source(reading: FileReading, node: cst.BaseExpression) -> tuple[cst.BaseExpression, set[str], bool]:
    """(x, {"detach", "numpy"}, whether names were followed) for `x.detach().numpy()`, also through names."""
    left: set[str] = set()
    renamed = False
    for _ in range(12):
        if isinstance(node, cst.Attribute) and node.attr.value == "data":
            left.add("data")
            node = node.value
        elif isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and not node.args:
            if node.func.attr.value not in _KEPT_OUT:
                break
            left.add(node.func.attr.value)
            node = node.func.value
        elif isinstance(node, cst.Name):
            bindings = reading.flow.reaching(node)
            value = bindings[0].value if len(bindings) == 1 and bindings[0].kind is Kind.ASSIGN else None
            if value is None or bindings[0].path or not _leaves(value):
                break
            node, renamed = value, True
        else:
            break
    return node, left, renamed


def _leaves(node: cst.BaseExpression) -> bool:
    """Whether an expression ends in a step out of the graph, so that a name for it is worth following."""
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        return node.func.attr.value in _KEPT_OUT and not node.args
    return isinstance(node, cst.Attribute) and node.attr.value == "data"


def _is_in_graph(reading: FileReading, node: cst.BaseExpression, function: _Function, framework: str) -> bool:
    """Whether an expression is surely a tensor that the framework computes with."""
    if isinstance(function, cst.Lambda):
        return isinstance(node, cst.Name) and node.value in [param.name.value for param in parameters(function)][:1]
    value = reading.value(node)
    if not isinstance(value, Tensor) or value.library not in _GRAPH or value.detached:
        return False
    if (value.library == "torch") != (framework == "torch"):
        return False
    return all(
        _is_tensor_parameter(reading, binding.node, function)
        for name in reading.tree.below(node)
        if isinstance(name, cst.Name)
        for binding in reading.flow.reaching(name)
        if binding.kind is Kind.PARAMETER and isinstance(binding.node, cst.Param)
    )


def _is_tensor_parameter(reading: FileReading, param: cst.CSTNode, function: _Function) -> bool:
    """Whether a parameter holds a tensor for sure: the first input, one that is annotated so, or used as one."""
    assert isinstance(param, cst.Param)
    names = list(parameters(function))
    if param not in names:
        return False
    if param.annotation is not None:
        api = reading.api(param.annotation.annotation) or ""
        return api.split(".")[0] in (*_GRAPH, "jaxtyping", "__main__") and not api.endswith((".dtype", ".device"))
    is_method = isinstance(reading.parent(reading.parent(function) or function), cst.ClassDef)
    if param.name.value in ("self", "y_true", "y_pred") or param is names[min(int(is_method), len(names) - 1)]:
        return True
    return any(
        isinstance(arg.value, cst.Name) and arg.value.value == param.name.value
        for node in reading.tree.below(function.body)
        if isinstance(node, cst.Call) and tensor_library(reading.api(node.func) or "") in _GRAPH
        for arg in node.args[:1]
    )


def _back_to_torch(reading: FileReading, node: cst.Call) -> cst.CSTNode | None:
    """The call that makes a tensor again of what NumPy clipped."""
    argument = reading.parent(node)
    call = reading.parent(argument) if isinstance(argument, cst.Arg) else None
    if isinstance(call, cst.Call):
        return call if reading.api(call.func) in _BACK_TO_TORCH and len(call.args) == 1 else None
    return None


def _is_evaluation(reading: FileReading, node: cst.CSTNode) -> bool:
    """Whether an `if` around a node asks for the training mode."""
    return any(
        "training" in reading.text(above.test) for above in reading.tree.ancestors(node) if isinstance(above, cst.If)
    )


def _is_eager(reading: FileReading) -> bool:
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        switch: Code | None = None
        if call.callee.api in _EAGER:
            first = call.argument(0, "run_eagerly")
            switch = first.code if first is not None else None
        elif call.method == "compile":
            given = call.argument(None, "run_eagerly")
            switch = given.code if given is not None else None
        if switch is not None and switch.value == Constant(True):
            return True
    return False
