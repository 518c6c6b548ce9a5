"""Finds TensorFlow 1 sessions that work out a clip, and what to write without them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.guards import is_version_dependent
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Kind
from clipcheck.frameworks import CLIPS, GRADIENT_CLIPS, OPTIMIZERS
from clipcheck.frameworks.tensorflow import INITIALIZERS, ONLY_TF1
from clipcheck.model.code import Call
from clipcheck.model.sessions import ClipSession
from clipcheck.model.value import Tensor

_SESSIONS = frozenset({"tensorflow.Session", "tensorflow.InteractiveSession"})
_SIDE_EFFECTS = re.compile(r"assign|scatter|random|train|minimize|apply_gradients|dropout|shuffle")
_ATOMS = (cst.Name, cst.Attribute, cst.Call, cst.Subscript)


def read_clip_sessions(reading: FileReading) -> Iterator[ClipSession]:
    calls = [node for node in reading.tree.all(cst.Call) if _is_session(reading, node)]
    if not calls or _is_for_tf1(reading):
        return
    for node in calls:
        if is_version_dependent(reading, node):
            continue
        name = _bound_name(reading, node)
        clip = _evaluated_clip(reading, name) if name else None
        if clip is None:
            continue
        made = Call(node, reading)
        yield _eager(reading, made, Call(clip, reading)) or ClipSession(made, Call(clip, reading))


def _is_session(reading: FileReading, node: cst.Call) -> bool:
    """By the very name that TensorFlow 2 does not have: `tf.compat.v1.Session` is still there."""
    names = reading.names(node.func)
    return bool(names) and names <= _SESSIONS


def _is_for_tf1(reading: FileReading) -> bool:
    """Whether the file builds its graph with what only TensorFlow 1 has: then all of it is, not the session alone."""
    for node in reading.tree.all(cst.Attribute):
        name = reading.name(node) or ""
        if name.startswith("tensorflow."):
            is_optimizer = name.startswith("tensorflow.train.") and name in OPTIMIZERS
            if is_optimizer or any(name == old or name.startswith(f"{old}.") for old in ONLY_TF1):
                return True
    return False


def _bound_name(reading: FileReading, node: cst.Call) -> str | None:
    parent = reading.parent(node)
    if isinstance(parent, cst.WithItem) and parent.asname is not None and isinstance(parent.asname.name, cst.Name):
        return parent.asname.name.value
    if isinstance(parent, cst.Assign) and isinstance(parent.targets[0].target, cst.Name):
        return parent.targets[0].target.value
    return None


def _runs(reading: FileReading, name: str, within: cst.CSTNode) -> list[cst.Call]:
    """The `sess.run(…)` calls."""
    calls = [node for node in reading.tree.below(within) if isinstance(node, cst.Call)]
    return [node for node in calls if reading.dotted(node.func) == f"{name}.run" and node.args]


def _evaluated_clip(reading: FileReading, name: str) -> cst.Call | None:
    """A clip that what a session runs depends on."""
    for run in _runs(reading, name, reading.module):
        for node in _depends_on(reading, run.args[0].value):
            if isinstance(node, cst.Call) and reading.api(node.func) in CLIPS.keys() | GRADIENT_CLIPS.keys():
                return node
    return None


def _depends_on(reading: FileReading, expression: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """All nodes of an expression and of what its names are bound to."""
    seen: set[cst.CSTNode] = set()
    todo = [expression]
    while todo:
        for node in reading.tree.below(todo.pop()):
            yield node
            if isinstance(node, cst.Name):
                for binding in reading.flow.reaching(node):
                    if binding.kind is Kind.ASSIGN and binding.value is not None and binding.value not in seen:
                        seen.add(binding.value)
                        todo.append(binding.value)


def _eager(reading: FileReading, made: Call, clip: Call) -> ClipSession | None:
    """The `with` statement of a session as eager code: no initializer, and `x.numpy()` for `sess.run(x)`."""
    item = reading.parent(made.node)
    block = reading.parent(item) if isinstance(item, cst.WithItem) else None
    if not isinstance(block, cst.With) or len(block.items) != 1 or not isinstance(block.body, cst.IndentedBlock):
        return None
    name = _bound_name(reading, made.node) or ""
    runs = _runs(reading, name, block.body)
    uses = [n for n in reading.tree.all(cst.Name) if n.value == name and not isinstance(reading.parent(n), cst.AsName)]
    text = textwrap.dedent(reading.module.code_for_node(block.body).partition("\n")[2])
    if len(uses) != len(runs) or '"""' in text or "'''" in text or any(isinstance(a, cst.For) for a in _blocks(block)):
        return None
    obsolete: list[cst.CSTNode] = []
    for run in runs:
        source = reading.text(run)
        initialized = _initializer(reading, run)
        if initialized is not None:
            obsolete += initialized
            text = re.sub(rf"^{re.escape(source)}[ \t]*(#.*)?\n?", "", text, flags=re.MULTILINE)
            continue
        fetched = _fetched(reading, run)
        if fetched is None or "\n" in source:
            return None
        text = text.replace(source, fetched)
    if f"{name}.run" in text or not text.strip():
        return None
    comment = block.body.header.comment
    lead = f"{comment.value}\n" if comment else ""
    gone = tuple(reading.code(statement) for statement in obsolete)
    return ClipSession(made, clip, reading.code(block), lead + text.strip("\n"), gone)


def _blocks(block: cst.With) -> Iterator[cst.CSTNode]:
    """The statements with a block of their own inside a `with`: one that runs again may see other values."""
    return (statement for statement in block.body.body if isinstance(statement, cst.BaseCompoundStatement))


def _initializer(reading: FileReading, run: cst.Call) -> list[cst.CSTNode] | None:
    """The statements that make what a bare `sess.run(init)` runs; none of them if it is made in place."""
    fetch = run.args[0].value
    if not isinstance(reading.parent(run), cst.Expr) or len(run.args) != 1:
        return None
    if isinstance(fetch, cst.Call) and reading.api(fetch.func) in INITIALIZERS:
        return []
    if isinstance(fetch, cst.Name):
        bindings = reading.flow.reaching(fetch)
        values = [binding.value for binding in bindings]
        if values and all(isinstance(v, cst.Call) and reading.api(v.func) in INITIALIZERS for v in values):
            return [binding.statement for binding in bindings]
    return None


def _fetched(reading: FileReading, run: cst.Call) -> str | None:
    """`x.numpy()` for `sess.run(x)`, `[x.numpy(), y.numpy()]` for `sess.run([x, y])`."""
    fetch = run.args[0].value
    if len(run.args) != 1 or run.args[0].keyword is not None:
        return None
    if isinstance(fetch, (cst.List, cst.Tuple)):
        parts = [_as_array(reading, element.value) for element in fetch.elements]
        known = [part for part in parts if part is not None]
        assigned = reading.parent(run)
        is_unpacked = isinstance(assigned, cst.Assign) and isinstance(assigned.targets[0].target, cst.Tuple)
        arrays = ", ".join(known) if is_unpacked else f"[{', '.join(known)}]"
        return arrays if len(known) == len(parts) else None
    return _as_array(reading, fetch)


def _as_array(reading: FileReading, tensor: cst.BaseExpression) -> str | None:
    value = reading.value(tensor)
    if not isinstance(value, Tensor) or value.library not in ("tensorflow", "keras"):
        return None
    for node in _depends_on(reading, tensor):
        if isinstance(node, cst.Call) and _SIDE_EFFECTS.search(reading.text(node.func)):
            return None
    text = reading.text(tensor)
    return f"{text}.numpy()" if isinstance(tensor, _ATOMS) else f"({text}).numpy()"
