"""Keys: one text for one object, through aliases, wrappers and the parameters of inlined helpers."""

from __future__ import annotations

from collections.abc import Mapping

import libcst as cst
from msgspec import Struct, field

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Kind, Scope

_WRAPPERS = frozenset(
    "DataParallel DistributedDataParallel DDP FullyShardedDataParallel FSDP compile prepare setup unwrap_model "
    "DataParallelWithCallback convert_sync_batchnorm prepare_model prepare_optimizer setup_optimizers".split()
)
_CASTS = frozenset("to cuda cpu train eval float half double list tuple set filter chain".split())


class Env(Struct, frozen=True):
    """Where an expression is read: in which function, what its parameters stand for in the caller, and the caller's own
    place (None for the body that is read as a step)."""

    bound: Mapping[str, str] = field(default_factory=dict)
    function: cst.FunctionDef | None = None
    caller: Env | None = None

    def of(self, scope: Scope | None) -> Env | None:
        """The function, among this one and its callers, that has a scope as its own."""
        env: Env | None = self
        while env is not None and (scope is None or env.function is not scope.node):
            env = env.caller
        return env


class Keys:
    def __init__(self, reading: FileReading) -> None:
        self.reading = reading

    def of(self, node: cst.BaseExpression, env: Env, depth: int = 0) -> str | None:
        """The key of the object that an expression stands for; None if it is no name of anything."""
        if depth > 8:
            return None
        if isinstance(node, cst.Name):
            return self._of_name(node, env, depth)
        if isinstance(node, cst.Attribute):
            base = self.of(node.value, env, depth + 1)
            return None if base is None else f"{base}.{node.attr.value}"
        if isinstance(node, cst.Subscript):
            base = self.of(node.value, env, depth + 1)
            return None if base is None else base + self.reading.text(node)[len(self.reading.text(node.value)) :]
        if isinstance(node, cst.Call):
            return self._wrapped(node, env, depth)
        return None

    def _of_name(self, node: cst.Name, env: Env, depth: int) -> str | None:
        scope = self.reading.scopes.lookup(node.value, self.reading.scopes.of(node))
        own = env.of(scope)
        if own is not None and node.value in own.bound:
            return own.bound[node.value]
        bindings = self.reading.flow.reaching(node)
        if len(bindings) == 1 and bindings[0].kind is Kind.ASSIGN and not bindings[0].path:
            value = bindings[0].value
            if isinstance(value, (cst.Name, cst.Attribute, cst.Call)):
                known = self.of(value, env, depth + 1)
                if known is not None:
                    return known
        return node.value if own is None or own.caller is None else local(own.function, node.value)

    def _wrapped(self, call: cst.Call, env: Env, depth: int) -> str | None:
        """`DDP(model)` and `model.to(device)` are still that model."""
        func = call.func
        name = func.attr.value if isinstance(func, cst.Attribute) else getattr(func, "value", None)
        if name in _WRAPPERS and call.args and call.args[0].star == "":
            return self.of(call.args[0].value, env, depth + 1)
        if name in _CASTS and isinstance(func, cst.Attribute):
            return self.of(func.value, env, depth + 1)
        return None


def local(function: cst.FunctionDef | None, name: str) -> str:
    """The key of a helper's own variable."""
    return name if function is None else f"{function.name.value}().{name}"
