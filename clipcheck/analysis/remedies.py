"""How a clip whose result is lost must be written to change what it clips."""

from __future__ import annotations

import libcst as cst

from clipcheck.analysis.keras_version import is_keras_2_code
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Kind
from clipcheck.analysis.stores import is_variable
from clipcheck.model.clips import Remedy
from clipcheck.model.code import Call, Code
from clipcheck.model.value import Many, Tensor

_PLACES = (cst.Name, cst.Attribute, cst.Subscript)


def remedy(call: Call, subject: Code, library: str, rebound: Code | None) -> Remedy | None:
    """For a clip that stands alone as a statement, or that is bound to a name that nothing reads (`rebound`)."""
    reading = call.reading
    assert isinstance(reading, FileReading)
    if not isinstance(subject.node, _PLACES) or _has_calls(subject):
        return None
    is_alone = call.is_bare_statement or rebound is not None
    if rebound is not None and not isinstance(reading.parent(call.node), cst.Assign):
        return None
    statement = call.statement if is_alone else call
    value = subject.value
    if library == "torch":
        if _is_storage(reading, subject.node) or (isinstance(value, Tensor) and _is_detached(value)):
            return Remedy(statement, torch_in_place(call, subject))
        if isinstance(value, Tensor) and value.role == "parameter":
            return leaf_in_place(call, subject, statement)
    elif isinstance(value, Tensor) and value.role == "parameter" and library != "numpy":
        return None if is_keras_2_code(reading) else Remedy(statement, f"{subject.text}.assign({call.text})")
    elif library == "numpy" and isinstance(value, Tensor) and _is_loop_variable(reading, subject.node):
        return Remedy(statement, numpy_in_place(call, subject)) if _keeps_changes(reading, subject.node) else None
    if not call.is_bare_statement:
        return None
    return _stored(call, subject, library, statement)


def leaf_in_place(call: Call, subject: Code, statement: Code) -> Remedy:
    """A parameter that requires gradients may only be changed in place where they are not recorded."""
    reading = call.reading
    assert isinstance(reading, FileReading)
    in_place = torch_in_place(call, subject)
    if reading.is_without_gradients(call.node):
        return Remedy(statement, in_place)
    no_grad = reading.spell("torch.no_grad", call.node)
    if no_grad.imports or statement.node is call.node or _is_forward(reading, call.node):
        return Remedy(statement, torch_in_place(call, subject, through=".data"))
    return Remedy(statement, f"with {no_grad.text}():\n    {in_place}")


def torch_in_place(call: Call, subject: Code, through: str = "") -> str:
    """`torch.clamp(p, a, b)` and `p.clamp(a, b)` as `p.clamp_(a, b)`, the arguments as they are."""
    place = subject.text + through
    last = (call.method or call.callee.text.rpartition(".")[2]).rstrip("_")
    if call.receiver is not None and call.receiver.node is subject.node:
        return f"{place}.{last}_{call.text[len(call.callee.text) :]}"
    others = [argument for argument in call.arguments if argument.code.node is not subject.node]
    arguments = [argument.text.rstrip(", \n\t") for argument in others]
    if call.callee.api in ("torch.clamp", "torch.clip", "torch.clamp_min", "torch.clamp_max"):
        last = (call.callee.api or "").rpartition(".")[2]
    return f"{place}.{last}_({', '.join(arguments)})"


def numpy_in_place(call: Call, subject: Code) -> str:
    """`np.clip(x, a, b)` with `out=x`."""
    text = call.text.rstrip()
    body = text[:-1].rstrip().rstrip(",")
    return f"{body}, out={subject.text})"


def _stored(call: Call, subject: Code, library: str, statement: Code) -> Remedy | None:
    """`x = clip(x, …)`, where that reaches everybody who holds x."""
    reading = call.reading
    assert isinstance(reading, FileReading)
    node = subject.node
    stored = Remedy(statement, f"{subject.text} = {call.text}")
    if isinstance(node, cst.Name):
        scopes = reading.scopes
        home = scopes.lookup(node.value, scopes.of(node))
        if home is None or home is not scopes.function_of(scopes.of(node)):
            return None
        return stored if is_read_below(reading, node, statement.node) else None
    if isinstance(subject.value, Tensor):
        return stored
    return stored if library == "numpy" and isinstance(node, (cst.Attribute, cst.Subscript)) else None


def is_read_below(reading: FileReading, name: cst.Name, statement: cst.CSTNode) -> bool:
    """Whether the name is read after a statement, so that binding it there would be seen."""
    scopes, order = reading.scopes, reading.tree.order
    scope = scopes.function_of(scopes.of(name))
    last = max(order[node] for node in reading.tree.below(statement))
    bound = {id(b.node) for b in scope.bindings.get(name.value, ())}
    after = (node for node in reading.tree.below(scope.node) if isinstance(node, cst.Name) and order[node] > last)
    same = (node for node in after if node.value == name.value and id(node) not in bound and is_variable(reading, node))
    first = next((node for node in same if scopes.function_of(scopes.of(node)) is scope), None)
    if first is None:
        return False
    return {b.node for b in reading.flow.reaching(first)} & {b.node for b in reading.flow.reaching(name)} != set()


def _is_detached(value: Tensor) -> bool:
    return value.detached or value.role == "gradient"


def _is_storage(reading: FileReading, node: cst.CSTNode) -> bool:
    """Whether it is a tensor's `.data` or `.grad`, or a name for one: what may be changed in place at any time."""
    if isinstance(node, cst.Attribute):
        return node.attr.value in ("data", "grad")
    if isinstance(node, cst.Name):
        before = [b for b in reading.flow.reaching(node) if b.kind is Kind.ASSIGN and not b.path]
        values = [b.value for b in before]
        return (
            bool(values)
            and len(values) == len(reading.flow.reaching(node))
            and all(isinstance(value, cst.Attribute) and value.attr.value in ("data", "grad") for value in values)
        )
    return False


def _is_loop_variable(reading: FileReading, node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Name) and any(b.kind is Kind.LOOP for b in reading.flow.reaching(node))


def _keeps_changes(reading: FileReading, node: cst.CSTNode) -> bool:
    """Whether the arrays that a loop goes through are kept by a name, and not copies made for the loop."""
    assert isinstance(node, cst.Name)
    for binding in reading.flow.reaching(node):
        if binding.kind is not Kind.LOOP or not isinstance(binding.value, cst.Name):
            return False
        if not isinstance(reading.value(binding.value), Many):
            return False
    return True


def _is_forward(reading: FileReading, node: cst.CSTNode) -> bool:
    function, class_ = reading.function(node), reading.class_of(node)
    if function is None or class_ is None or function.name.value != "forward":
        return False
    return reading.classes.kind(class_) == "module"


def _has_calls(code: Code) -> bool:
    return next(code.calls, None) is not None
