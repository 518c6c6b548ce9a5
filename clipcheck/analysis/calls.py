"""What calls return."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst
from msgspec.structs import replace

from clipcheck.analysis.joining import element, join
from clipcheck.frameworks import tensor_library
from clipcheck.frameworks.tensorflow import VARIABLES
from clipcheck.model.code import Call
from clipcheck.model.value import UNKNOWN, Constant, Instance, Items, Many, Pair, Reference, Tensor, Value

if TYPE_CHECKING:
    from clipcheck.analysis.reading import FileReading

_COLLECTORS = frozenset({"builtins.list", "builtins.tuple", "builtins.set", "builtins.sorted", "builtins.reversed"})
_DTYPES = ("float16", "bfloat16", "float32", "float64", "half", "double", "float")
_DTYPE_METHODS = {"half": "float16", "bfloat16": "bfloat16", "double": "float64", "float": "float32"}
_TF_COLLECTIONS = frozenset(
    f"tensorflow.{name}" for name in ("trainable_variables", "global_variables", "all_variables", "get_collection")
)
_KERAS_VARIABLES = {
    "trainable_variables": "parameter",
    "trainable_weights": "parameter",
    "weights": "state",
    "variables": "state",
    "non_trainable_weights": "buffer",
    "non_trainable_variables": "buffer",
}
_NOT_TENSOR_METHODS = frozenset(
    (
        "size dim numel backward shape register_hook requires_grad_ is_contiguous data_ptr element_size "
        "tolist items keys assign_ get_shape retain_grad type_as_ nelement all_ any_"
    ).split()
)


class CallValues:
    """The part of the evaluator that knows calls and the attributes of framework objects."""

    def __init__(self, reading: FileReading) -> None:
        self.reading = reading

    def of(self, node: cst.Call) -> Value:
        call = Call(node, self.reading)
        api = call.callee.api
        if api is not None and "." in api:
            return self._named(call, api)
        if isinstance(node.func, cst.Attribute):
            return self._method(call, node.func)
        return self._called(call, self.reading.values.of(node.func))

    def _named(self, call: Call, api: str) -> Value:
        if api.startswith("__main__."):
            return self._called(call, self.reading.values.of(call.node.func))
        if api.startswith("builtins."):
            return self._builtin(call, api.removeprefix("builtins."))
        if api in VARIABLES:
            return Tensor("keras" if api.startswith("keras") else "tensorflow", "parameter")
        if api in ("torch.nn.Parameter", "torch.nn.parameter.Parameter"):
            return Tensor("torch", "parameter")
        if api in _TF_COLLECTIONS:
            return Many(Tensor("tensorflow", "parameter"))
        if api in ("tensorflow.gradients", "keras.backend.gradients"):
            return Many(Tensor(api.split(".")[0], "gradient"))
        if api in ("theano.tensor.grad", "theano.grad", "theano.gradient.grad"):
            return Tensor("theano", "gradient")
        if api == "itertools.chain":
            return Many(self._common_element(call), one_shot=True)
        if api == "torch.autograd.grad":
            return Many(Tensor("torch", "gradient"))
        library = tensor_library(api)
        if library is not None:
            return Tensor(library, dtype=self._dtype(call), detached=False)
        last = api.rpartition(".")[2]
        if last[:1].isupper() or api in ("keras.layers.Input",):
            return Instance(api, call)
        return UNKNOWN

    def _dtype(self, call: Call) -> str | None:
        """The dtype that a call states, such as `dtype=np.float64`."""
        argument = call.argument(None, "dtype")
        if argument is None:
            return None
        value = argument.code.value
        name = value.name if isinstance(value, Reference) else getattr(value, "value", None)
        last = str(name).rpartition(".")[2]
        return _DTYPE_METHODS.get(last, last) if last in _DTYPES else None

    def _builtin(self, call: Call, name: str) -> Value:
        arguments = call.arguments
        if not arguments:
            return UNKNOWN
        first = arguments[0].code.value
        if f"builtins.{name}" in _COLLECTORS:
            return Many(first.element) if isinstance(first, Many) else first if isinstance(first, Items) else UNKNOWN
        if name == "iter":
            return first
        if name in ("filter", "map"):
            return self._mapped(call, name)
        if name == "enumerate":
            return Many(Pair(UNKNOWN, element(first)), one_shot=True)
        if name == "zip" and len(arguments) >= 2:
            return Many(Pair(element(first), element(arguments[1].code.value)), one_shot=True)
        if name in ("float", "int", "abs") and isinstance(first, Constant) and first.number is not None:
            return self._converted(name, first)
        if name == "float" and isinstance(first, Constant) and isinstance(first.value, str):
            return self._parsed(first)
        if name in ("float", "int", "abs", "round") and isinstance(first, Tensor):
            return Tensor(first.library, first.role, first.owner, first.dtype, detached=name != "abs")
        return UNKNOWN

    def _converted(self, name: str, constant: Constant) -> Value:
        assert isinstance(constant.value, (int, float))
        try:
            if name == "abs":
                return Constant(abs(constant.value), constant.assumed)
            return Constant(float(constant.value) if name == "float" else int(constant.value), constant.assumed)
        except (ValueError, OverflowError):
            return UNKNOWN

    def _parsed(self, constant: Constant) -> Value:
        """`float("inf")`."""
        try:
            return Constant(float(str(constant.value)), constant.assumed)
        except ValueError:
            return UNKNOWN

    def _mapped(self, call: Call, name: str) -> Value:
        if len(call.arguments) < 2:
            return UNKNOWN
        over = call.arguments[1].code.value
        if name == "filter":
            return Many(element(over), one_shot=True)
        return Many(UNKNOWN, one_shot=True)

    def _common_element(self, call: Call) -> Value:
        """What iterating over all arguments gives; parameters of several models have no owner."""
        found = {element(argument.code.value) for argument in call.arguments if argument.node.star == ""}
        if len(found) != 1 and all(isinstance(each, Tensor) for each in found):
            found = {replace(each, owner=None) for each in found if isinstance(each, Tensor)}
        return found.pop() if len(found) == 1 and not call.has_star else UNKNOWN

    def _called(self, call: Call, callee: Value) -> Value:
        """The value of calling something that is itself a value: a class or function of this file, a model, a layer."""
        if isinstance(callee, Reference) and callee.name.startswith("__main__."):
            class_ = self.reading.values.local_class(callee)
            if class_ is not None:
                return Instance(class_.name.value, call, local=True)
            return self._returned(callee.name.removeprefix("__main__."), call)
        if isinstance(callee, Instance):
            return self._applied(callee)
        return UNKNOWN

    def _applied(self, instance: Instance) -> Value:
        kind = self.reading.classes.kind_of(instance)
        if kind == "module":
            return Tensor("torch")
        if kind in ("layer", "model"):
            return Tensor("keras")
        return UNKNOWN

    def _returned(self, function_name: str, call: Call) -> Value:
        """What a function of this file returns, if all its returns agree."""
        functions = [f for f in self.reading.tree.all(cst.FunctionDef) if f.name.value == function_name]
        if len(functions) != 1:
            return UNKNOWN
        return self.returned(functions[0])

    def returned(self, function: cst.FunctionDef) -> Value:
        if function.asynchronous is not None:
            return UNKNOWN
        returns = [node for node in self.reading.tree.below(function.body) if isinstance(node, (cst.Return, cst.Yield))]
        own = [node for node in returns if self.reading.function(node) is function]
        if any(isinstance(node, cst.Yield) for node in own):
            return UNKNOWN
        values = [
            self.reading.values.of(node.value)
            for node in own
            if isinstance(node, cst.Return) and node.value is not None
        ]
        return join(values)

    def _method(self, call: Call, func: cst.Attribute) -> Value:
        receiver = self.reading.values.of(func.value)
        name = func.attr.value
        if isinstance(receiver, Tensor):
            return self._tensor_method(call, receiver, name)
        if isinstance(receiver, (Many, Items)) and name in ("values", "copy"):
            return receiver
        if name == "items" and isinstance(receiver, Many):
            return Many(Pair(UNKNOWN, receiver.element))
        local = self._local_method(receiver, name)
        if local is not None:
            return self.returned(local)
        held = self.reading.values.of(func) if isinstance(receiver, Instance) and receiver.local else UNKNOWN
        if isinstance(held, Instance):  # `self.dense(x)`: an object kept in an attribute is called
            return self._called(call, held)
        return self._model_method(call, func, receiver, name)

    def _local_method(self, receiver: Value, name: str) -> cst.FunctionDef | None:
        class_ = self.reading.values.local_class(receiver) if isinstance(receiver, Instance) else None
        if class_ is None:
            return None
        for statement in class_.body.body:
            if isinstance(statement, cst.FunctionDef) and statement.name.value == name:
                return statement
        return None

    def _tensor_method(self, call: Call, tensor: Tensor, name: str) -> Value:
        if name in _NOT_TENSOR_METHODS:
            return UNKNOWN
        if name == "numpy" and tensor.library != "numpy":
            return Tensor("numpy", tensor.role, tensor.owner, tensor.dtype, detached=True)
        if name in ("detach", "item"):
            return Tensor(tensor.library, tensor.role, tensor.owner, tensor.dtype, detached=True)
        if name in _DTYPE_METHODS and tensor.library == "torch":
            return Tensor(tensor.library, "data", tensor.owner, _DTYPE_METHODS[name], tensor.detached)
        if name in ("cpu", "cuda", "to", "clone", "contiguous", "view", "requires_grad_", "astype", "read_value"):
            dtype = tensor.dtype if name != "astype" else self._astype(call)
            return Tensor(tensor.library, tensor.role, tensor.owner, dtype, tensor.detached)
        if name.endswith("_") and not name.startswith("_"):
            return tensor  # in place: the same tensor is returned
        return Tensor(tensor.library, dtype=tensor.dtype, detached=tensor.detached)

    def _astype(self, call: Call) -> str | None:
        if not call.arguments:
            return None
        value = call.arguments[0].code.value
        name = value.name if isinstance(value, Reference) else getattr(value, "value", None)
        last = str(name).rpartition(".")[2]
        return last if last in _DTYPES else None

    def _model_method(self, call: Call, func: cst.Attribute, receiver: Value, name: str) -> Value:
        owner = self.reading.code(func.value)
        parameter = Tensor("torch", "parameter", owner)
        if name == "parameters":
            return Many(parameter, one_shot=True)
        if name == "named_parameters":
            return Many(Pair(UNKNOWN, parameter), one_shot=True)
        if name == "buffers":
            return Many(Tensor("torch", "buffer", owner), one_shot=True)
        if name == "named_buffers":
            return Many(Pair(UNKNOWN, Tensor("torch", "buffer", owner)), one_shot=True)
        if name == "state_dict":
            return Many(Tensor("torch", "state", owner))
        if name == "get_weights":
            return Many(Tensor("numpy", "state", owner))
        if name in ("modules", "children"):
            return Many(UNKNOWN, one_shot=True)
        if name == "gradient" and isinstance(receiver, Instance) and receiver.of == "tensorflow.GradientTape":
            return Many(Tensor("tensorflow", "gradient"))
        if name == "compute_gradients":
            library = "tensorflow"
            return Many(Pair(Tensor(library, "gradient"), Tensor(library, "parameter")))
        if name == "parse_args":
            return Instance("argparse.Namespace", call)
        if isinstance(receiver, Instance) and name in ("to", "cuda", "cpu", "eval", "train", "double", "half", "float"):
            return receiver
        return UNKNOWN

    def attribute(self, node: cst.Attribute, receiver: Value) -> Value:
        """The value of an attribute of a framework object."""
        name = node.attr.value
        if name in _KERAS_VARIABLES and not isinstance(receiver, Constant):
            role = _KERAS_VARIABLES[name]
            return Many(Tensor("keras", role, self.reading.code(node.value)))
        if isinstance(receiver, Instance):
            kind = self.reading.classes.kind_of(receiver)
            if kind in ("layer", "model") and name in ("kernel", "bias", "gamma", "beta", "embeddings"):
                return Tensor("keras", "parameter", self.reading.code(node.value))
            if kind == "module" and name in ("weight", "bias"):
                return Tensor("torch", "parameter", self.reading.code(node.value))
            if receiver.of == "argparse.Namespace":
                return self.reading.values.parameters.command_line(name)
        if self.reading.api(node.value) in ("absl.flags.FLAGS", "tensorflow.app.flags.FLAGS", "tensorflow.flags.FLAGS"):
            return self.reading.values.parameters.command_line(name)
        return UNKNOWN
