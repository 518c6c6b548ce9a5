"""The events of steps whose gradients are values: TensorFlow's and Keras's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import libcst as cst

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.gradient_lists import is_unread, replaces
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Kind
from clipcheck.analysis.steps.keys import Env
from clipcheck.analysis.steps.objects import Objects, one
from clipcheck.analysis.steps.seen import Seen
from clipcheck.analysis.weight_writes import read_weight_writes
from clipcheck.frameworks import CLIPS, GRADIENT_CLIPS
from clipcheck.frameworks.api import Differentiation
from clipcheck.frameworks.tensorflow import (
    BUILDS_GRAPHS,
    GRADIENT_METHODS,
    GRADIENTS,
    LOSS_SCALING,
    UNSCALING,
    WHOLE_STEPS,
)
from clipcheck.model.code import Argument, Call, Code
from clipcheck.model.steps import Action
from clipcheck.model.value import Instance, Items, Many, Pair, Tensor
from clipcheck.model.weight_writes import WeightWrite

_PACKAGES = frozenset({"tensorflow", "keras", "tf_keras"})
_PASSED_ON = frozenset({"builtins.list", "builtins.tuple", "builtins.zip", "builtins.enumerate"})
_DEEPEST = 8


class TensorFlowSteps:
    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.reading = objects.reading

    @cached_property
    def is_used(self) -> bool:
        return any(name.partition(".")[0] in _PACKAGES for name in self.reading.scopes.imported_modules)

    @cached_property
    def clip_calls(self) -> list[cst.Call]:
        """Every call that may clip gradients or weights."""
        if not self.is_used:
            return []
        clips = [call for node in self.reading.tree.all(cst.Call) if self._clipped(call := Call(node, self.reading))]
        return [*self.writes, *(call.node for call in clips)]

    @cached_property
    def writes(self) -> dict[cst.Call, WeightWrite]:
        """The calls that put clipped weights back at once: not those that build a graph that does."""
        names = {node.attr.value for node in self.reading.tree.all(cst.Attribute)}
        is_at_once = self.is_used and not names & BUILDS_GRAPHS and "tensorflow.compat.v1" not in self._imports
        clips = any(not clip.in_place and clip.library != "torch" for clip in read_clips(self.reading))
        found = read_weight_writes(self.reading) if is_at_once and clips else ()
        return {w.written.node: w for w in found if isinstance(w.written, Call) and not w.clip.in_place}

    @property
    def _imports(self) -> frozenset[str]:
        return self.reading.scopes.imported_modules

    def events(self, call: Call, env: Env) -> Iterator[Seen]:
        """What a call does in such a step."""
        if not self.is_used:
            return
        if (write := self.writes.get(call.node)) is not None:
            is_all = write.clip.call.inside(call)
            models = one(self.objects.key(write.model, env))
            yield Seen(Action.CLIP_WEIGHTS, call, models=models, is_all=is_all)
        elif (gradients := self._clipped(call)) is not None:
            yield self._clip(call, gradients, env)
        elif (differentiation := _differentiation(self.reading, call)) is not None:
            yield from self._computed(call, differentiation, env)
        elif call.method in UNSCALING and call.receiver is not None:
            yield Seen(Action.UNSCALE, call, scaler=self.objects.key(call.receiver, env))
        elif call.receiver is not None:
            yield from self._updates(call, call.receiver, env)

    # -- gradients are computed

    def _computed(self, call: Call, at: Differentiation, env: Env) -> Iterator[Seen]:
        variables = call.argument(at.variables.position, *at.variables.keywords)
        if variables is None and call.method == "gradient":
            return
        if variables is not None and not _are_variables(variables.code):
            return  # a gradient penalty asks for the gradient by its input
        models = self.objects.owners(variables.code, env) if variables is not None else frozenset[str]()
        loss = call.argument(at.loss.position, *at.loss.keywords)
        scaler = self._scaler_of(loss, env) if loss is not None else None
        yield Seen(Action.BACKWARD, call, models=models, scaler=scaler, renews=True)

    def _scaler_of(self, loss: Argument, env: Env) -> str | None:
        """The optimizer that has scaled a loss."""
        made = _made(self.reading, loss.node.value)
        if made is None or made.method not in LOSS_SCALING or made.receiver is None:
            return None
        scales = made.method == "get_scaled_loss" or _is_loss_scaling(made.receiver)
        return self.objects.key(made.receiver, env) if scales else None

    # -- gradients are clipped

    def _clipped(self, call: Call) -> Code | None:
        """The gradients that a call clips, and gives back."""
        api = call.callee.api or ""
        own, values = GRADIENT_CLIPS.get(api), CLIPS.get(api)
        if own is not None and not own.in_place:
            given = call.argument(own.target.position, *own.target.keywords)
            is_sure = own.by == "global norm"
        elif values is not None and values.value is not None and values.library in ("tensorflow", "keras"):
            given = call.argument(values.value.position, *values.value.keywords)
            is_sure = False
        else:
            return None
        return given.code if given is not None and (is_sure or _is_gradient(given.code)) else None

    def _clip(self, call: Call, gradients: Code, env: Env) -> Seen:
        source = _source(self.reading, gradients.node)
        computed = list(self.events(source, env)) if source is not None else []
        backward = next((seen for seen in computed if seen.action is Action.BACKWARD), None)
        own = GRADIENT_CLIPS.get(call.callee.api or "")
        bound = call.argument(own.bound.position, *own.bound.keywords) if own is not None else None
        return Seen(
            Action.CLIP_VALUES,
            call,
            scaler=backward.scaler if backward is not None else None,
            models=backward.models if backward is not None else frozenset(),
            bound=bound.code if bound is not None else None,
            is_lost=is_unread(self.reading, call.node),
            is_all=replaces(self.reading, call.node),
        )

    # -- weights are updated

    def _updates(self, call: Call, receiver: Code, env: Env) -> Iterator[Seen]:
        key = self.objects.key(receiver, env)
        if call.method == "apply_gradients" and call.arguments:
            yield self._step(call, receiver, key, self._paired(call.arguments[0].code, env))
        elif call.method == "apply" and self.objects.is_optimizer(receiver, key):
            variables = call.argument(1, "trainable_variables")
            models = self.objects.owners(variables.code, env) if variables is not None else frozenset[str]()
            yield self._step(call, receiver, key, models)
        elif call.method == "minimize" and self.objects.is_optimizer(receiver, key):
            variables = call.argument(None, "var_list")
            models = self.objects.owners(variables.code, env) if variables is not None else frozenset[str]()
            yield from self._whole(call, key, models)
        elif call.method in WHOLE_STEPS and (call.method == "train_on_batch" or _is_model(self.reading, receiver)):
            yield from self._whole(call, f"{key}.optimizer" if key is not None else None, one(key))

    def _step(self, call: Call, optimizer: Code, key: str | None, models: frozenset[str]) -> Seen:
        return Seen(Action.STEP, call, key, key if _is_loss_scaling(optimizer) else None, models)

    def _whole(self, call: Call, optimizer: str | None, models: frozenset[str]) -> Iterator[Seen]:
        """A call that computes gradients and makes the update with them."""
        yield Seen(Action.BACKWARD, call, optimizer, models=models, renews=True)
        yield Seen(Action.STEP, call, optimizer, models=models)

    def _paired(self, pairs: Code, env: Env, depth: int = 0) -> frozenset[str]:
        """The models of the variables in pairs of gradients and variables."""
        node = pairs.node
        if isinstance(node, cst.Call) and depth < _DEEPEST:
            name = self.reading.name(node.func)
            if name == "builtins.zip" and len(node.args) == 2:
                return self.objects.owners(self.reading.code(node.args[1].value), env)
            if name in _PASSED_ON and node.args:
                return self._paired(self.reading.code(node.args[0].value), env, depth + 1)
        if isinstance(node, cst.Name) and depth < _DEEPEST:
            bindings = self.reading.flow.reaching(node)
            only = bindings[0] if len(bindings) == 1 else None
            if only is not None and only.kind is Kind.ASSIGN and not only.path and isinstance(only.value, cst.Call):
                return self._paired(self.reading.code(only.value), env, depth + 1)
        owner = _second_owner(pairs)
        return one(self.objects.key(owner, env)) if owner is not None else frozenset()


def _differentiation(reading: FileReading, call: Call) -> Differentiation | None:
    method = GRADIENT_METHODS.get(call.method or "")
    if method is None or call.receiver is None:
        return GRADIENTS.get(call.callee.api or "")
    value = call.receiver.value
    is_tape = isinstance(value, Instance) and value.of == "tensorflow.GradientTape"
    return method if call.method != "gradient" or is_tape or "tape" in call.receiver.text.lower() else None


def _source(reading: FileReading, node: cst.CSTNode, depth: int = 0) -> Call | None:
    """The call that has computed gradients, if they come straight from one: clipped or not, but not unscaled."""
    if depth > _DEEPEST:
        return None
    if isinstance(node, cst.Name):
        bindings = reading.flow.reaching(node)
        only = bindings[0] if len(bindings) == 1 else None
        if only is None or only.value is None or only.kind not in (Kind.ASSIGN, Kind.LOOP):
            return None
        return _source(reading, only.value, depth + 1) if not any(only.path) else None
    if isinstance(node, (cst.ListComp, cst.GeneratorExp)):
        element = node.elt.elements[0].value if isinstance(node.elt, cst.Tuple) and node.elt.elements else node.elt
        return _source(reading, element, depth + 1)
    if not isinstance(node, cst.Call):
        return None
    call = Call(node, reading)
    if _differentiation(reading, call) is not None:
        return call
    is_clip = call.callee.api in CLIPS or call.callee.api in GRADIENT_CLIPS
    passes_on = is_clip or reading.name(node.func) in _PASSED_ON
    return _source(reading, node.args[0].value, depth + 1) if passes_on and node.args else None


def _made(reading: FileReading, node: cst.CSTNode) -> Call | None:
    """The one call that makes a value, also when that has a name."""
    if isinstance(node, cst.Name):
        bindings = reading.flow.reaching(node)
        only = bindings[0] if len(bindings) == 1 else None
        node = only.value if only is not None and only.value is not None and not only.path else node
    return Call(node, reading) if isinstance(node, cst.Call) else None


def _are_variables(code: Code) -> bool:
    """Whether gradients are asked for by what is trained, and not by an input."""
    value = code.value
    items = [item.value for item in value.elements] if isinstance(value, Items) else []
    values = items or [value.element if isinstance(value, Many) else value]
    if all(isinstance(each, Tensor) and each.role in ("parameter", "state") for each in values):
        return True
    return bool(code.reading.networks.whose_parameters(code.node)[0])  # type: ignore[attr-defined]


def _is_gradient(code: Code) -> bool:
    value = code.value
    value = value.element if isinstance(value, Many) else value
    return isinstance(value, Tensor) and value.role == "gradient"


def _second_owner(pairs: Code) -> Code | None:
    """The model of the second things in a list of pairs."""
    value = pairs.value
    element = value.element if isinstance(value, Many) else None
    if isinstance(element, Items) and len(element.elements) == 2:
        element = Pair(element.elements[0].value, element.elements[1].value)
    second = element.second if isinstance(element, Pair) else None
    return second.owner if isinstance(second, Tensor) else None


def _is_loss_scaling(optimizer: Code) -> bool:
    value = optimizer.value
    return isinstance(value, Instance) and value.of.endswith("LossScaleOptimizer")


def _is_model(reading: FileReading, code: Code) -> bool:
    network = reading.networks.of(code.node)
    return network is not None and network.framework == "keras"
