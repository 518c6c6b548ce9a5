"""Finds gradient clips that are given something else than parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Kind
from clipcheck.frameworks import GRADIENT_CLIPS, OPTIMIZERS
from clipcheck.model.code import Call, Code
from clipcheck.model.gradients import MisdirectedClip, NotParameters, Rewrite
from clipcheck.model.value import Constant, Instance, Items, Many, Tensor

_METHODS = frozenset({"clip_grad_norm_", "clip_grad_value_"})
_OPTIMIZER = re.compile(r"optimi[sz]er|(^|[._])opt(im)?($|[._\d])", re.IGNORECASE)
_PARAMETER_LISTS = frozenset({"torch.nn.ParameterList", "torch.nn.ParameterDict"})
_ALL_OF_GROUPS = '[p for group in {} for p in group["params"]]'


def clip_target(call: Call) -> Code | None:
    """What a call clips the gradients of, for torch's functions and the like-named methods of trainers."""
    api = GRADIENT_CLIPS.get(call.callee.api or "")
    if api is not None:
        target = call.argument(api.target.position, *api.target.keywords) if api.in_place else None
    elif call.method in _METHODS and call.callee.api is None:
        target = call.argument(0, "parameters")
    else:
        return None
    return target.code if target is not None and target.code.number is None else None


def read_wrong_targets(reading: FileReading) -> Iterator[MisdirectedClip]:
    """Every gradient clip whose target surely is not a parameter, or a list or iterator of parameters."""
    reader = _Targets(reading)
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        target = clip_target(call)
        if target is None or not _is_torch_or_accelerate(call):
            continue
        origins = list(reader.origins(target.node)) if isinstance(target.node, cst.BaseExpression) else []
        wrong = [found for origin in origins if (found := reader.wrong(origin)) is not None]
        if wrong and (len(origins) == 1 or wrong[0][0] is NotParameters.WRONG_KEY):
            kind, what = wrong[0]
            remedy = reader.remedy(kind, what, target)
            yield MisdirectedClip(call, kind, reading.code(what), _is_silent(call, kind), remedy)


def _is_torch_or_accelerate(call: Call) -> bool:
    return call.callee.api in GRADIENT_CLIPS or "accelerator" in (call.receiver.text if call.receiver else "")


def _is_silent(call: Call, kind: NotParameters) -> bool:
    """Whether torch takes it without an error: tensors without a gradient are left out, and the norm of nothing is 0.

    `clip_grad_value_` raises where nothing is left.
    """
    tensors = kind in (NotParameters.GRADIENTS, NotParameters.STATE, NotParameters.BUFFERS)
    return tensors and "value" not in (call.callee.text.rpartition(".")[2])


class _Targets:
    def __init__(self, reading: FileReading) -> None:
        self.reading = reading

    def origins(self, node: cst.BaseExpression, depth: int = 0) -> Iterator[cst.BaseExpression]:
        """The expressions that a target may come from; nothing where the callers of a helper decide that."""
        if isinstance(node, cst.IfExp):
            yield from self.origins(node.body, depth + 1)
            yield from self.origins(node.orelse, depth + 1)
            return
        bindings = self.reading.flow.reaching(node) if isinstance(node, cst.Name) else []
        plain = [b for b in bindings if b.kind is Kind.ASSIGN and not b.path and b.value is not None]
        if len(plain) == 1 and len(bindings) == 1 and depth < 5 and not isinstance(plain[0].value, cst.Call):
            assert plain[0].value is not None
            yield from self.origins(plain[0].value, depth + 1)
        elif all(b.kind is not Kind.PARAMETER or self._is_annotated(b.node) for b in bindings):
            yield node

    def _is_annotated(self, param: cst.CSTNode) -> bool:
        return isinstance(param, cst.Param) and param.annotation is not None

    def wrong(self, node: cst.BaseExpression) -> tuple[NotParameters, cst.CSTNode] | None:
        """What a target is instead of parameters, and the part of it that makes it so."""
        made = self._made(node)
        key = self._wrong_key(node)
        if key is not None:
            return NotParameters.WRONG_KEY, key
        kind = self._of_call(made) or self._of_groups(node) or self._of_value(node)
        return (kind, node) if kind is not None else None

    def _made(self, node: cst.CSTNode) -> cst.CSTNode:
        """The call that a name stands for."""
        bindings = self.reading.flow.reaching(node) if isinstance(node, cst.Name) else []
        only = bindings[0] if len(bindings) == 1 and bindings[0].kind is Kind.ASSIGN and not bindings[0].path else None
        return only.value if only is not None and only.value is not None else node

    def _of_call(self, node: cst.CSTNode) -> NotParameters | None:
        if not isinstance(node, cst.Call):
            return None
        call = Call(node, self.reading)
        receiver = call.receiver
        if receiver is None or node.args or self.reading.origins.function(node) is not None:
            return None
        if call.method == "values" and isinstance(receiver, Call) and receiver.method == "state_dict":
            return NotParameters.STATE
        return _METHODS_OF_MODULES.get(call.method or "")

    def _of_groups(self, node: cst.CSTNode) -> NotParameters | None:
        if self._is_groups(node):
            return NotParameters.GROUPS
        if isinstance(node, cst.Subscript) and self._is_groups(node.value):
            index = node.slice[0].slice
            is_one = len(node.slice) == 1 and isinstance(index, cst.Index)
            return NotParameters.GROUP if is_one else NotParameters.GROUPS
        if isinstance(node, cst.Name) and self._is_group(node):
            return NotParameters.GROUP
        value = self.reading.value(node)
        if isinstance(value, Items) and value.elements and all(self._is_group_display(e) for e in value.elements):
            return NotParameters.GROUPS
        return None

    def _is_group_display(self, code: Code) -> bool:
        if not isinstance(code.node, cst.Dict):
            return False
        keys = [e.key for e in code.node.elements if isinstance(e, cst.DictElement)]
        return any(self.reading.value(key) == Constant("params") for key in keys)

    def _is_groups(self, node: cst.CSTNode) -> bool:
        if not isinstance(node, cst.Attribute) or node.attr.value != "param_groups":
            return False
        value = self.reading.value(node.value)
        if isinstance(value, Instance):
            return value.of in OPTIMIZERS or self.reading.classes.kind_of(value) == "optimizer"
        return _OPTIMIZER.search(self.reading.text(node.value)) is not None

    def _is_group(self, node: cst.CSTNode) -> bool:
        """Whether a name goes through the groups of an optimizer, or stands for one of them."""
        if not isinstance(node, cst.Name):
            return isinstance(node, cst.Subscript) and self._is_groups(node.value)
        bindings = self.reading.flow.reaching(node)
        return bool(bindings) and all(
            b.kind is Kind.LOOP and not b.path and b.value is not None and self._is_groups(b.value) for b in bindings
        )

    def _wrong_key(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The key that is not "params" in `[p for group in optimizer.param_groups for p in group["…"]]`."""
        looked_up = [node]
        if isinstance(node, (cst.ListComp, cst.GeneratorExp)):
            inner = node.for_in.inner_for_in
            looked_up = [node.for_in.iter, *([inner.iter] if inner is not None else [])]
        for each in looked_up:
            if isinstance(each, cst.Subscript) and self._is_group(each.value) and len(each.slice) == 1:
                index = each.slice[0].slice
                key = index.value if isinstance(index, cst.Index) else None
                value = self.reading.value(key) if key is not None else None
                if isinstance(value, Constant) and isinstance(value.value, str) and not self._is_made(value):
                    return key if value.value != "params" else None
        return None

    def _is_made(self, key: Constant) -> bool:
        """Whether the file itself puts such a key into a dict."""
        for entry in self.reading.tree.all(cst.DictElement):
            if self.reading.value(entry.key) == key:
                return True
        stores = (t.target for t in self.reading.tree.all(cst.AssignTarget) if isinstance(t.target, cst.Subscript))
        return any(self.reading.value(inner) == key for store in stores for inner in self.reading.tree.below(store))

    def _of_value(self, node: cst.CSTNode) -> NotParameters | None:
        value = self.reading.value(node)
        if isinstance(value, Instance):
            if value.of in OPTIMIZERS:
                return NotParameters.OPTIMIZER
            if value.of in _PARAMETER_LISTS or self.reading.classes.kind_of(value) != "module":
                return None
            class_ = self.reading.values.local_class(value)
            if class_ is not None and self.reading.classes.method(class_, "__iter__") is not None:
                return None
            return NotParameters.MODULE
        if isinstance(node, (cst.ListComp, cst.GeneratorExp)) and _is_gradient_of(node.elt, node.for_in.target):
            return NotParameters.GRADIENTS
        if isinstance(value, Many):
            value = value.element
        if isinstance(value, Tensor) and value.library == "torch" and value.role == "gradient":
            return NotParameters.GRADIENTS
        return None

    def remedy(self, kind: NotParameters, what: cst.CSTNode, target: Code) -> Rewrite | None:
        """How to hand over the parameters; only where the target itself is what is wrong."""
        place = self.reading.code(what)
        if kind is NotParameters.WRONG_KEY:
            quote = place.text[0] if place.text[:1] in "'\"" else None
            return Rewrite(place, f"{quote}params{quote}") if quote else None
        if kind is NotParameters.MODULE and isinstance(target.node, (cst.Name, cst.Attribute)):
            return Rewrite(target, f"{target.text}.parameters()")
        if kind is NotParameters.OPTIMIZER and isinstance(target.node, (cst.Name, cst.Attribute)):
            return Rewrite(target, _ALL_OF_GROUPS.format(f"{target.text}.param_groups"))
        if what is not target.node:
            return self._group(target) if kind is NotParameters.GROUP else None
        remedy = _REMEDIES.get(kind)
        return remedy(place) if remedy is not None else None

    def _group(self, target: Code) -> Rewrite | None:
        return Rewrite(target, f'{target.text}["params"]') if isinstance(target.node, cst.Name) else None


_METHODS_OF_MODULES = {
    "state_dict": NotParameters.STATE_DICT,
    "named_parameters": NotParameters.NAMED,
    "named_buffers": NotParameters.NAMED,
    "named_modules": NotParameters.MODULES,
    "modules": NotParameters.MODULES,
    "children": NotParameters.MODULES,
    "named_children": NotParameters.MODULES,
    "buffers": NotParameters.BUFFERS,
}


def _is_gradient_of(element: cst.BaseExpression, variable: cst.BaseAssignTargetExpression) -> bool:
    """Whether a comprehension over parameters p lists `p.grad` (or its data)."""
    if isinstance(element, cst.Attribute) and element.attr.value == "data":
        element = element.value
    return (
        isinstance(element, cst.Attribute)
        and element.attr.value == "grad"
        and isinstance(element.value, cst.Name)
        and isinstance(variable, cst.Name)
        and element.value.value == variable.value
    )


def _parameters_of(what: Code) -> Rewrite | None:
    """`model.parameters()` for `model.named_parameters()`, `model.state_dict().values()` and the like."""
    call = what if isinstance(what, Call) else None
    receiver = call.receiver if call is not None else None
    if call is not None and call.method == "values" and isinstance(receiver, Call):
        receiver = receiver.receiver
    return Rewrite(what, f"{receiver.text}.parameters()") if receiver is not None else None


def _parameters_for_gradients(what: Code) -> Rewrite | None:
    """`parameters` for `[p.grad for p in parameters]`: what has no gradient is left out anyway."""
    node = what.node
    if isinstance(node, cst.Attribute) and node.attr.value == "grad":
        return Rewrite(what, what.at(node.value).text)
    if not isinstance(node, (cst.ListComp, cst.GeneratorExp)) or node.for_in.inner_for_in is not None:
        return None
    name = what.at(node.for_in.target).text
    tests = [what.at(test.test).text for test in node.for_in.ifs]
    if all(test in (f"{name}.grad is not None", f"{name}.requires_grad") for test in tests):
        return Rewrite(what, what.at(node.for_in.iter).text)
    return Rewrite(what.at(node.elt), name)


_REMEDIES: dict[NotParameters, Callable[[Code], Rewrite | None]] = {
    NotParameters.STATE: _parameters_of,
    NotParameters.STATE_DICT: _parameters_of,
    NotParameters.NAMED: _parameters_of,
    NotParameters.BUFFERS: _parameters_of,
    NotParameters.MODULES: _parameters_of,
    NotParameters.GRADIENTS: _parameters_for_gradients,
    NotParameters.GROUPS: lambda what: Rewrite(what, _ALL_OF_GROUPS.format(what.text)),
    NotParameters.GROUP: lambda what: Rewrite(what, f'{what.text}["params"]'),
}
