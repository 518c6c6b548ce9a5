"""Reads the networks of a script: Keras models and torch modules, their layers, and what trains them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from clipcheck.analysis.classes import kind_of_api
from clipcheck.analysis.layers import LayerSet, keras_layers, torch_layers
from clipcheck.analysis.scopes import dotted_name, parameters
from clipcheck.frameworks import OPTIMIZERS
from clipcheck.model.code import Call, Code
from clipcheck.model.networks import Network, Training

if TYPE_CHECKING:
    from clipcheck.analysis.reading import FileReading

_PARAMETERS = frozenset({"parameters", "named_parameters", "trainable_variables", "trainable_weights"})
_KEEPING = frozenset({"builtins.list", "builtins.tuple", "builtins.filter", "builtins.iter", "itertools.chain"})


def read_networks(reading: FileReading) -> Iterator[Network]:
    """Every model that the file makes, in the order of the source."""
    return iter(reading.networks.all)


class Networks:
    """The networks of one file, and which of them an expression is."""

    def __init__(self, reading: FileReading) -> None:
        self.reading = reading
        self._by_origin: dict[cst.CSTNode, Network] = {}

    @cached_property
    def all(self) -> tuple[Network, ...]:
        return tuple(self._network(origin) for origin in self._makers)

    def of(self, node: cst.CSTNode) -> Network | None:
        """The network that an expression is, if there is only one that it can be."""
        found = set(map(self._maker, self.reading.origins.of(node)))
        if len(found) != 1:
            return None
        origin = found.pop()
        return None if origin is None else self._network(origin)

    def whose_parameters(self, node: cst.CSTNode) -> tuple[list[Code], bool]:
        """The models whose parameters an expression gives, as they are written there, and whether that is all of it.

        Goes through `list(…)`, `filter(…)`, `chain(…)`, sums, comprehensions over them, and variables.
        """
        found: list[Code] = []
        complete = self._collect_owners(node, found, set())
        return found, complete

    @cached_property
    def _makers(self) -> list[cst.CSTNode]:
        """The calls that make models, and the classes of models seen from within."""
        makers: list[cst.CSTNode] = [node for node in self.reading.tree.all(cst.Call) if self._makes_model(node)]
        makers += [class_ for class_ in self.reading.tree.all(cst.ClassDef) if self._framework_of_class(class_)]
        order = self.reading.tree.order
        return sorted(makers, key=lambda node: order[node])

    def _maker(self, origin: cst.CSTNode) -> cst.CSTNode | None:
        """The maker that an origin is: a call, or the class for its own `self`."""
        if isinstance(origin, cst.Call):
            return origin if self._makes_model(origin) else None
        if isinstance(origin, cst.Param):
            class_ = self.reading.class_of(origin)
            return class_ if class_ is not None and self._framework_of_class(class_) else None
        return None

    def _makes_model(self, call: cst.Call) -> bool:
        return self._framework(call) is not None

    def _framework(self, maker: cst.CSTNode) -> str | None:
        if isinstance(maker, cst.ClassDef):
            return self._framework_of_class(maker)
        assert isinstance(maker, cst.Call)
        class_ = self._class(maker)
        if class_ is not None:
            return self._framework_of_class(class_)
        api = self.reading.api(maker.func)
        if api in ("keras.Sequential", "keras.Model"):
            return "keras"
        return "torch" if api == "torch.nn.Sequential" else None

    def _framework_of_class(self, class_: cst.ClassDef) -> str | None:
        return {"model": "keras", "module": "torch"}.get(self.reading.classes.kind(class_) or "")

    def _class(self, maker: cst.CSTNode) -> cst.ClassDef | None:
        """The class of this file that a maker is, or makes an instance of."""
        if isinstance(maker, cst.ClassDef):
            return maker
        assert isinstance(maker, cst.Call)
        api = self.reading.api(maker.func) or ""
        if not api.startswith("__main__."):
            return None
        name = api.removeprefix("__main__.")
        return next((c for c in self.reading.tree.all(cst.ClassDef) if c.name.value == name), None)

    def _network(self, maker: cst.CSTNode) -> Network:
        network = self._by_origin.get(maker)
        if network is None:
            framework = self._framework(maker) or ""
            class_ = self._class(maker)
            layers = self.layers(maker)
            network = Network(
                framework=framework,
                made=self.reading.code(maker),
                names=frozenset(self._names.get(maker, ())) or frozenset({"self"} if class_ is maker else ()),
                class_name=class_.name.value if class_ is not None else None,
                layers=tuple(layers.in_order(self.reading)),
                is_complete=layers.is_complete,
                trainings=tuple(self._trainings.get(maker, ())),
            )
            self._by_origin[maker] = network
        return network

    def layers(self, maker: cst.CSTNode) -> LayerSet:
        read = keras_layers if self._framework(maker) == "keras" else torch_layers
        return read(self.reading, maker, self._class(maker))

    @cached_property
    def _names(self) -> dict[cst.CSTNode, set[str]]:
        """The names that each model goes by: variables, attributes, and parameters that it is handed to."""
        found: dict[cst.CSTNode, set[str]] = {}
        for name, node, path in self._named():
            for origin in self.reading.origins.of(node, path):
                maker = self._maker(origin)
                if isinstance(maker, cst.Call):
                    found.setdefault(maker, set()).add(name)
        return found

    def _named(self) -> Iterator[tuple[str, cst.CSTNode, tuple[int, ...]]]:
        tree = self.reading.tree
        for assign in tree.all(cst.Assign):
            for target in assign.targets:
                for name, path in _dotted_targets(target.target, ()):
                    yield name, assign.value, path
        for annotated in tree.all(cst.AnnAssign):
            for name, path in _dotted_targets(annotated.target, ()):
                if annotated.value is not None:
                    yield name, annotated.value, path
        for call in tree.all(cst.Call):
            for name, value in self._handed(call):
                yield name, value, ()

    def _handed(self, call: cst.Call) -> Iterator[tuple[str, cst.CSTNode]]:
        """The parameters of functions of this file that expressions are handed over for."""
        if not call.args:
            return
        function = self.reading.origins.function(call)
        if function is None:
            class_ = self._class(call)
            function = self.reading.origins.method(class_, "__init__") if class_ is not None else None
        if function is None:
            return
        names = [param.name.value for param in parameters(function)]
        if self.reading.scopes.own(function).parent is not self.reading.scopes.module:
            names = names[1:]
        for index, arg in enumerate(call.args):
            if arg.star:
                return
            if arg.keyword is not None:
                yield arg.keyword.value, arg.value
            elif index < len(names):
                yield names[index], arg.value

    @cached_property
    def trainings(self) -> tuple[Training, ...]:
        """Everything that trains a model in this file, also one that is made elsewhere, in the order of the source."""
        calls = (Call(node, self.reading) for node in self.reading.tree.all(cst.Call))
        return tuple(training for call in calls for training in self._training(call))

    @cached_property
    def _trainings(self) -> dict[cst.CSTNode, list[Training]]:
        found: dict[cst.CSTNode, list[Training]] = {}
        for training in self.trainings:
            for origin in self.reading.origins.of(training.model.node):
                maker = self._maker(origin)
                if maker is not None:
                    found.setdefault(maker, []).append(training)
        return found

    def _training(self, call: Call) -> Iterable[Training]:
        if call.method == "compile" and call.receiver is not None:
            return [self._compiled(call, call.receiver)]
        if call.method in ("apply_gradients", "minimize", "apply"):
            return self._applied(call)
        api = OPTIMIZERS.get(call.callee.api or "")
        if api is not None and api.parameters is not None:
            given = call.argument(api.parameters.position, *api.parameters.keywords)
            if given is not None:
                owners, _ = self.whose_parameters(given.node.value)
                return [Training(call, owner, call, call) for owner in owners]
        return ()

    def _compiled(self, call: Call, model: Code) -> Training:
        optimizer = call.argument(0, "optimizer")
        loss = call.argument(1, "loss")
        return Training(
            at=call,
            model=model,
            optimizer=self.optimizer(optimizer.code) if optimizer is not None else None,
            optimizer_code=optimizer.code if optimizer is not None else None,
            loss=loss.code if loss is not None else None,
        )

    def _applied(self, call: Call) -> Iterable[Training]:
        """`optimizer.apply_gradients(zip(gradients, critic.trainable_variables))`, `minimize(loss, var_list=…)`."""
        if call.receiver is None:
            return
        seen = set()
        for argument in call.arguments:
            for node in self.reading.tree.below(argument.node):
                if isinstance(node, (cst.Name, cst.Attribute)):
                    for owner in self.whose_parameters(node)[0]:
                        if owner.node not in seen:
                            seen.add(owner.node)
                            yield Training(call, owner, self.optimizer(call.receiver), call.receiver)

    def optimizer(self, code: Code) -> Call | None:
        """The one call that makes the optimizer that an expression is."""
        node = self.reading.origins.only(code.node)
        if not isinstance(node, cst.Call):
            return None
        api = self.reading.api(node.func) or ""
        return Call(node, self.reading) if kind_of_api(api) == "optimizer" else None

    def _collect_owners(self, node: cst.CSTNode, found: list[Code], seen: set[cst.CSTNode]) -> bool:
        if node in seen:
            return True
        seen.add(node)
        if isinstance(node, cst.Call):
            return self._collect_owners_of_call(node, found, seen)
        if isinstance(node, cst.Attribute) and node.attr.value in _PARAMETERS:
            found.append(self.reading.code(node.value))
            return True
        if isinstance(node, cst.BinaryOperation):
            left = self._collect_owners(node.left, found, seen)
            return self._collect_owners(node.right, found, seen) and left
        if isinstance(node, (cst.ListComp, cst.GeneratorExp)) and node.for_in.inner_for_in is None:
            if isinstance(node.elt, cst.Name):
                return self._collect_owners(node.for_in.iter, found, seen) and not node.for_in.ifs
            return False
        if isinstance(node, (cst.List, cst.Tuple)):
            return self._collect_all([element.value for element in node.elements], found, seen)
        if isinstance(node, cst.StarredElement):
            return self._collect_owners(node.value, found, seen)
        if isinstance(node, cst.Dict):
            values = [e.value for e in node.elements if isinstance(e, cst.DictElement) and self._is_params(e.key)]
            return self._collect_all(values, found, seen)
        if isinstance(node, (cst.Name, cst.Attribute)):
            origins = [origin for origin in self.reading.origins.of(node) if origin is not node]
            return self._collect_all(origins, found, seen)
        return False

    def _collect_all(self, nodes: Sequence[cst.CSTNode], found: list[Code], seen: set[cst.CSTNode]) -> bool:
        """Whether the models behind all of several expressions are known; none of them is left out for another."""
        complete = [self._collect_owners(node, found, seen) for node in nodes]
        return bool(complete) and all(complete)

    def _is_params(self, key: cst.BaseExpression) -> bool:
        return isinstance(key, cst.SimpleString) and key.evaluated_value == "params"

    def _collect_owners_of_call(self, node: cst.Call, found: list[Code], seen: set[cst.CSTNode]) -> bool:
        api = self.reading.api(node.func)
        if (api or "").startswith("tensorflow."):
            return False  # `tf.trainable_variables()`: those of all models
        if isinstance(node.func, cst.Attribute) and node.func.attr.value in _PARAMETERS and not node.args:
            found.append(self.reading.code(node.func.value))
            return True
        if api in _KEEPING:
            values = [arg.value for arg in node.args]
            if api == "builtins.filter":
                self._collect_all(values[-1:], found, seen)
                return False
            return self._collect_all(values, found, seen)
        origins = [origin for origin in self.reading.origins.of(node) if origin is not node]
        return self._collect_all(origins, found, seen)


def _dotted_targets(target: cst.BaseExpression, path: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The names and attributes in the target of an assignment, and where in a tuple each stands."""
    if isinstance(target, (cst.Tuple, cst.List)):
        for index, element in enumerate(target.elements):
            yield from _dotted_targets(element.value, (*path, index))
        return
    name = dotted_name(target)
    if name is not None:
        yield name, path
