"""Reads what a `get_config` returns: dict displays, `dict(…)`, updates, and what comes from the bases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst
from msgspec import Struct, field
from msgspec.structs import replace

from clipcheck.analysis.scopes import Kind, parameters
from clipcheck.model.classes import Config, ConfigKey
from clipcheck.model.code import Call

if TYPE_CHECKING:
    from clipcheck.analysis.reading import FileReading

_CONDITIONS = (cst.If, cst.For, cst.While, cst.Try, cst.IfExp)
_COPIES = frozenset({"builtins.dict", "copy.copy", "copy.deepcopy", "collections.OrderedDict"})


def read_config(reading: FileReading, class_: cst.ClassDef) -> Config | None:
    """What a class of this file returns from `get_config`; None if it leaves that to the framework."""
    function = reading.origins.method(class_, "get_config")
    if function is None:
        return None
    found = _Body(reading, function).returned()
    needed = [param.name.value for param in parameters(function) if param.default is None and not param.star][1:]
    displays, calls = found.displays, found.calls
    return Config(
        code=reading.code(function.name),
        keys=tuple(found.keys.values()),
        is_complete=found.is_complete,
        merges_base=found.merges_base,
        own=reading.class_of(function) is class_,
        removed=frozenset(found.removed),
        needed=tuple(needed),
        display=displays[0] if len(displays) == 1 and not calls else None,
        arguments=calls[0] if len(calls) == 1 and not displays else None,
    )


class _Entries(Struct):
    """What is known of a dict. `displays`, `calls`: where keys of its own are written down."""

    keys: dict[str, ConfigKey] = field(default_factory=dict)
    is_complete: bool = True
    merges_base: bool = False
    displays: list[cst.Dict] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)

    def remove(self, name: str | None) -> None:
        if name is None:
            self.is_complete = False
        else:
            self.keys.pop(name, None)
            self.removed.add(name)

    def merge(self, other: _Entries) -> None:
        self.keys.update(other.keys)
        self.is_complete &= other.is_complete
        self.merges_base |= other.merges_base
        self.displays += other.displays
        self.calls += other.calls
        self.removed |= other.removed


class _Body:
    """The body of one `get_config`."""

    def __init__(self, reading: FileReading, function: cst.FunctionDef) -> None:
        self.reading = reading
        self.function = function
        self._seen: set[cst.CSTNode] = set()

    def returned(self) -> _Entries:
        values = self.reading.origins.returns(self.function)
        if len(values) != 1:
            return _Entries(is_complete=False)
        return self.of(values[0])

    def of(self, node: cst.BaseExpression) -> _Entries:
        if node in self._seen:
            return _Entries(is_complete=False)
        self._seen.add(node)
        if isinstance(node, cst.Dict):
            return self._display(node)
        if isinstance(node, cst.Call):
            return self._call(Call(node, self.reading))
        if isinstance(node, cst.Name):
            return self._variable(node)
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, (cst.BitOr, cst.Add)):
            left = self.of(node.left)
            left.merge(self.of(node.right))
            return left
        return _Entries(is_complete=False)

    def _display(self, node: cst.Dict) -> _Entries:
        found = _Entries(displays=[node])
        for element in node.elements:
            if isinstance(element, cst.StarredDictElement):
                found.merge(self.of(element.value))
            elif isinstance(element, cst.DictElement):
                name = self._text(element.key)
                if name is None:
                    found.is_complete = False
                    continue
                code = self.reading.code
                found.keys[name] = ConfigKey(
                    name,
                    code(element),
                    code(element.value),
                    self._is_sure(element),
                    written=code(element.key),
                    entry=element,
                )
        return found

    def _call(self, call: Call) -> _Entries:
        if call.method == "get_config":
            return self._base(call)
        if call.callee.api in _COPIES:
            return self._copied(call)
        if call.method == "copy" and call.receiver is not None and isinstance(call.receiver.node, cst.BaseExpression):
            return self.of(call.receiver.node)
        if call.callee.api == "builtins.list" and len(call.arguments) == 1:
            return self.of(call.node.args[0].value)
        if call.method == "items" and call.receiver is not None and isinstance(call.receiver.node, cst.BaseExpression):
            return self.of(call.receiver.node)
        return _Entries(is_complete=False)

    def _copied(self, call: Call) -> _Entries:
        """`dict(base, c=self.c)`, `dict(**base, c=self.c)`, `dict(list(base.items()) + list(config.items()))`."""
        found = _Entries()
        for argument in call.arguments:
            if argument.keyword is None:
                found.merge(self.of(argument.node.value))
            else:
                found.keys[argument.keyword] = ConfigKey(
                    argument.keyword,
                    argument,
                    argument.code,
                    sure=self._is_sure(argument.node),
                    argument=argument.node,
                    argument_of=call,
                )
                if call not in found.calls:
                    found.calls.append(call)
        return found

    def _base(self, call: Call) -> _Entries:
        """`super().get_config()`, `Base.get_config(self)`."""
        receiver = call.receiver
        class_ = self.reading.class_of(self.function)
        if class_ is None or receiver is None or receiver.text == "self":
            return _Entries(is_complete=False)
        if not (isinstance(receiver, Call) and receiver.callee.api == "builtins.super"):
            return _Entries(is_complete=(receiver.api or "").startswith("keras."), merges_base=True)
        for above in self.reading.classes.chain(class_)[1:]:
            config = read_config(self.reading, above)
            if config is not None and config.own:
                keys = {key.name: replace(key, own=False) for key in config.keys}
                return _Entries(keys, config.is_complete, config.merges_base)
        return _Entries(merges_base=True)

    def _variable(self, node: cst.Name) -> _Entries:
        """A dict in a variable: what it is made as, and what is put into it afterwards."""
        bindings = [
            binding
            for binding in self.reading.flow.reaching(node)
            if binding.kind is Kind.ASSIGN and binding.value is not None and not binding.path
        ]
        if len(bindings) != 1 or len(self.reading.flow.reaching(node)) != 1 or bindings[0].value is None:
            return _Entries(is_complete=False)
        found = self.of(bindings[0].value)
        for use in self._earlier_uses(node):
            if use is not bindings[0].node and self.reading.flow.reaching(use) == bindings:
                self._used(use, found)
        return found

    def _earlier_uses(self, node: cst.Name) -> Iterator[cst.Name]:
        order = self.reading.tree.order
        for use in self.reading.tree.below(self.function.body):
            if isinstance(use, cst.Name) and use.value == node.value and order[use] < order[node]:
                yield use

    def _used(self, use: cst.Name, found: _Entries) -> None:
        """A use of a dict before it is returned, which may change it."""
        parent = self.reading.parent(use)
        above = self.reading.parent(parent) if parent is not None else None
        if isinstance(parent, cst.Attribute) and isinstance(above, cst.Call) and above.func is parent:
            self._method(Call(above, self.reading), parent.attr.value, found)
        elif isinstance(parent, cst.Subscript) and parent.value is use:
            self._item(parent, above, found)
        elif not isinstance(parent, (cst.StarredDictElement, cst.Comparison, cst.ComparisonTarget)):
            found.is_complete = False

    def _method(self, call: Call, method: str, found: _Entries) -> None:
        if method == "update":
            given = self._copied(call)
            if not self._is_sure(call.node):
                given.keys = {name: replace(key, sure=False) for name, key in given.keys.items()}
            found.merge(given)
        elif method == "pop" and call.arguments:
            found.remove(self._text(call.node.args[0].value))
        elif method not in ("items", "keys", "values", "get", "copy"):
            found.is_complete = False

    def _item(self, subscript: cst.Subscript, above: cst.CSTNode | None, found: _Entries) -> None:
        """`config["c"] = self.c`, `del config["c"]`, or a mere look at it."""
        index = subscript.slice[0].slice
        name = self._text(index.value) if isinstance(index, cst.Index) else None
        statement = self.reading.statement(subscript)
        code = self.reading.code
        if isinstance(above, cst.AssignTarget) and isinstance(statement, cst.Assign):
            if name is None or not isinstance(index, cst.Index):
                found.is_complete = False
            else:
                found.keys[name] = ConfigKey(
                    name,
                    code(statement),
                    code(statement.value),
                    sure=self._is_sure(subscript),
                    written=code(index.value),
                    statement=code(statement),
                )
        elif isinstance(above, cst.Del):
            found.remove(name)

    def _is_sure(self, node: cst.CSTNode) -> bool:
        for above in self.reading.tree.ancestors(node):
            if above is self.function:
                return True
            if isinstance(above, _CONDITIONS):
                return False
        return True

    def _text(self, node: cst.BaseExpression) -> str | None:
        if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
            value = node.evaluated_value
            return value if isinstance(value, str) else None
        return None
