"""Finds clips that walk through an array or tensor in Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

import libcst as cst
from msgspec import Struct

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Binding, Kind, parameters
from clipcheck.frameworks import CLIPS, METHOD_CLIPS
from clipcheck.model.code import Call
from clipcheck.model.slow_clips import ElementwiseClip
from clipcheck.model.value import Constant, Items, Tensor

_SHORT = 16
"""Up to so many elements a loop of Python is as quick as a vectorised clip."""
_FEW = re.compile(r"box|rect|reward|coord|point|corner|rgb|colou?r|_id$")
"""Names of what holds a handful of numbers."""
_MAKERS = frozenset(
    "numpy.array numpy.asarray numpy.stack torch.tensor torch.as_tensor torch.stack tensorflow.stack "
    "tensorflow.convert_to_tensor tensorflow.constant keras.ops.stack keras.ops.array "
    "keras.ops.convert_to_tensor".split()
)
_UNSTACKERS = frozenset({"tensorflow.unstack", "keras.ops.unstack", "torch.unbind"})
_MAPPERS = {
    "tensorflow.map_fn": "tensorflow",
    "tensorflow.vectorized_map": "tensorflow",
    "keras.backend.map_fn": "keras",
    "keras.ops.map": "keras",
    "keras.ops.vectorized_map": "keras",
}
_SCALARS = frozenset({"builtins.float", "numpy.float32", "numpy.float64"})
_Wanted: TypeAlias = Callable[[cst.BaseExpression], bool]
_GREATER, _LESS = (cst.GreaterThan, cst.GreaterThanEqual), (cst.LessThan, cst.LessThanEqual)


class _Scalar(Struct, frozen=True):
    """One number clipped: the expression, and its bounds."""

    value: cst.BaseExpression
    low: cst.BaseExpression | None
    high: cst.BaseExpression | None


def read_elementwise(reading: FileReading) -> Iterator[ElementwiseClip]:
    """Every walk through an array whose only work is to clip its elements."""
    reader = _Reader(reading)
    for comprehension in reading.tree.all(cst.ListComp):
        yield from reader.comprehension(comprehension)
    for generator in reading.tree.all(cst.GeneratorExp):
        yield from reader.comprehension(generator)
    for call in reading.tree.all(cst.Call):
        yield from reader.mapped(call)
    for loop in reading.tree.all(cst.For):
        yield from reader.loop(loop)


class _Reader:
    def __init__(self, reading: FileReading) -> None:
        self.reading = reading

    # What clips one number

    def scalar(self, node: cst.BaseExpression, wanted: _Wanted) -> _Scalar | None:
        """`min(max(v, lo), hi)`, `np.clip(v, lo, hi)`, `lo if v < lo else v`, for a `v` that is wanted."""
        found: _Scalar | None = None
        if isinstance(node, cst.IfExp):
            found = self._conditional(node)
        elif isinstance(node, cst.Call):
            found = self._extremes(node, wanted) or self._clip(node)
        return found if found is not None and wanted(found.value) else None

    def _extremes(self, node: cst.Call, wanted: _Wanted) -> _Scalar | None:
        outer, operands = self._extreme(node)
        for inner, bound in (operands, operands[::-1]) if operands else ():
            name, below = self._extreme(inner) if isinstance(inner, cst.Call) else ("", None)
            if below and name != outer:
                for value, other in (below, below[::-1]):
                    if wanted(value):
                        return _Scalar(value, *((other, bound) if outer == "min" else (bound, other)))
        return None

    def _extreme(self, node: cst.Call) -> tuple[str, tuple[cst.BaseExpression, cst.BaseExpression] | None]:
        name = (self.reading.api(node.func) or "").removeprefix("builtins.")
        if name not in ("min", "max") or len(node.args) != 2 or any(a.keyword or a.star for a in node.args):
            return name, None
        return name, (node.args[0].value, node.args[1].value)

    def _is_bound(self, node: cst.BaseExpression) -> bool:
        return isinstance(self.reading.value(node), Constant)

    def _clip(self, node: cst.Call) -> _Scalar | None:
        call = Call(node, self.reading)
        api = CLIPS.get(call.callee.api or "")
        subject = call.argument(api.value.position, *api.value.keywords) if api and api.value else None
        if api is None and call.callee.api is None and (call.method or "") in ("clamp", "clip") and call.receiver:
            api = METHOD_CLIPS[call.method or ""]
            value: cst.BaseExpression | None = node.func.value if isinstance(node.func, cst.Attribute) else None
        else:
            value = subject.node.value if subject is not None else None
        if api is None or value is None or api.in_place or call.has_star:
            return None
        low, high = (call.argument(at.position, *at.keywords) for at in (api.low, api.high))
        given = (low is not None) + (high is not None)
        if given == 0 or len(call.arguments) != given + (subject is not None):
            return None
        return _Scalar(value, low.node.value if low else None, high.node.value if high else None)

    def _conditional(self, node: cst.IfExp) -> _Scalar | None:
        """`hi if v > hi else lo if v < lo else v`."""
        compared = self._comparison(node.test)
        if compared is None:
            return None
        value, greater, bound = compared
        if not self._is_text_of(node.body, bound):
            return None
        rest = node.orelse
        if isinstance(rest, cst.IfExp):
            inner = self._conditional(rest)
            if inner is None or not self._same(inner.value, value):
                return None
            low, high = (inner.low, bound) if greater else (bound, inner.high)
            return _Scalar(value, low, high) if low is not None and high is not None else None
        if not self._same(rest, value):
            return None
        return _Scalar(value, None if greater else bound, bound if greater else None)

    def _comparison(self, test: cst.BaseExpression) -> tuple[cst.BaseExpression, bool, cst.BaseExpression] | None:
        """(v, whether it is greater, bound) of `v > bound` or `bound < v`."""
        if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1:
            return None
        operator, right = test.comparisons[0].operator, test.comparisons[0].comparator
        if not isinstance(operator, (*_GREATER, *_LESS)):
            return None
        greater = isinstance(operator, _GREATER)
        if self._is_bound(test.left) and not self._is_bound(right):
            return right, not greater, test.left
        return test.left, greater, right

    def _same(self, one: cst.CSTNode, other: cst.CSTNode) -> bool:
        if self.reading.text(one) == self.reading.text(other):
            return True
        first, second = self.reading.value(one), self.reading.value(other)
        return isinstance(first, Constant) and isinstance(second, Constant) and first.value == second.value

    def _is_text_of(self, one: cst.CSTNode, other: cst.CSTNode) -> bool:
        return self.reading.text(one) == self.reading.text(other)

    # What walks through an array

    def comprehension(self, node: cst.ListComp | cst.GeneratorExp) -> Iterator[ElementwiseClip]:
        variables: list[str] = []
        inner: cst.BaseExpression = node
        array: cst.BaseExpression | None = None
        while isinstance(inner, (cst.ListComp, cst.GeneratorExp)):
            loop = inner.for_in
            if not isinstance(loop.target, cst.Name) or loop.ifs or loop.inner_for_in or loop.asynchronous:
                return
            if array is None:
                array = loop.iter
            elif not isinstance(loop.iter, cst.Name) or loop.iter.value != variables[-1]:
                return
            variables.append(loop.target.value)
            inner = inner.elt
        scalar = self._of_element(inner, variables[-1])
        if scalar is None and len(variables) == 1:
            scalar, array = self._by_position(inner, variables[0], node.for_in)
        if array is None or scalar is None or not self._are_fixed(scalar, variables):
            return
        array = self._unstacked(array)
        tensor = self._array(array)
        if tensor is None or (self._is_tensor_op(inner) and not self._maker(node)):
            return
        maker = self._maker(node)
        replaced = maker if maker is not None and self._fits(maker, tensor) else None
        if replaced is not None and tensor.library == "keras":
            tensor = Tensor((self.reading.api(replaced.func) or "keras").split(".")[0])
        yield self._found(node, array, tensor, inner, scalar, replaced)

    def _by_position(
        self, node: cst.BaseExpression, variable: str, loop: cst.CompFor | cst.For
    ) -> tuple[_Scalar | None, cst.BaseExpression | None]:
        """The clip and the array of `[min(max(x[i], lo), hi) for i in range(len(x))]`."""
        scalar = self.scalar(node, lambda element: _indexed(element)[1] == [variable])
        array = _indexed(scalar.value)[0] if scalar is not None and not self._is_tensor_op(node) else None
        return (scalar, array) if array is not None and self._covers(loop, array, 0, variable) else (None, None)

    def _of_element(self, node: cst.BaseExpression, variable: str) -> _Scalar | None:
        """The clip of a loop's element, also through a function of the file."""
        return self.scalar(node, self._is_named(variable)) or self._through_function(node, self._is_named(variable))

    def _is_named(self, variable: str) -> _Wanted:
        return lambda node: self._element_name(node) == variable

    def _element_name(self, node: cst.BaseExpression) -> str | None:
        """`v` for `v`, `v.item()` and `float(v)`."""
        if isinstance(node, cst.Call):
            if isinstance(node.func, cst.Attribute) and node.func.attr.value == "item" and not node.args:
                node = node.func.value
            elif self.reading.api(node.func) in _SCALARS and len(node.args) == 1:
                node = node.args[0].value
        return node.value if isinstance(node, cst.Name) else None

    def _through_function(self, node: cst.BaseExpression, wanted: _Wanted) -> _Scalar | None:
        """`clip(v)` for a function of the file that does nothing else."""
        if not isinstance(node, cst.Call) or len(node.args) != 1 or node.args[0].keyword or node.args[0].star:
            return None
        inner = self._function_clip(node.func) if wanted(node.args[0].value) else None
        return _Scalar(node.args[0].value, inner.low, inner.high) if inner is not None else None

    def _function_clip(self, function: cst.BaseExpression) -> _Scalar | None:
        """The clip that a lambda or a function of the file does with its only parameter."""
        if isinstance(function, cst.Lambda):
            params = [param.name.value for param in parameters(function)]
            scalar = self._of_element(function.body, params[0]) if len(params) == 1 else None
        else:
            definition = self._definition(function)
            params = [param.name.value for param in parameters(definition)] if definition is not None else []
            if definition is None or definition.decorators or len(params) != 1:
                return None
            scalar = self._body_clip(definition, self._is_named(params[0]))
            if scalar is not None and not all(self._is_known(b) for b in (scalar.low, scalar.high) if b is not None):
                return None
        return scalar if scalar is not None and self._are_fixed(scalar, params) else None

    def _is_known(self, node: cst.BaseExpression) -> bool:
        """Whether a bound means the same outside the function: numbers, and constants of the module."""
        scopes = self.reading.scopes
        return all(
            below.value.isupper() and scopes.lookup(below.value, scopes.of(below)) is scopes.module
            for below in self.reading.tree.below(node)
            if isinstance(below, cst.Name)
        )

    def _definition(self, function: cst.BaseExpression) -> cst.FunctionDef | None:
        name = self.reading.name(function) or ""
        found = [f for f in self.reading.tree.all(cst.FunctionDef) if f"__main__.{f.name.value}" == name]
        return found[0] if len(found) == 1 else None

    def _body_clip(self, function: cst.FunctionDef, wanted: _Wanted) -> _Scalar | None:
        """`return min(max(v, lo), hi)`, or `if v > hi: return hi` and so on to `return v`."""
        statements = list(function.body.body)
        if statements and _is_docstring(statements[0]):
            del statements[0]
        low: cst.BaseExpression | None = None
        high: cst.BaseExpression | None = None
        value: cst.BaseExpression | None = None
        while statements:
            statement = statements.pop(0)
            returned = _returned(statement)
            if returned is not None:
                if value is None:
                    return self.scalar(returned, wanted)
                return _Scalar(value, low, high) if self._same(returned, value) and not statements else None
            if not isinstance(statement, cst.If) or len(statement.body.body) != 1:
                return None
            compared, given = self._comparison(statement.test), _returned(statement.body.body[0])
            if compared is None or given is None or not self._is_text_of(given, compared[2]):
                return None
            if not wanted(compared[0]):
                return None
            value = compared[0]
            low, high = (low, compared[2]) if compared[1] else (compared[2], high)
            if isinstance(statement.orelse, cst.If):
                statements.insert(0, statement.orelse)
            elif isinstance(statement.orelse, cst.Else):
                statements = list(statement.orelse.body.body)
        return None

    def mapped(self, node: cst.Call) -> Iterator[ElementwiseClip]:
        """`map(f, x)`, `np.vectorize(f)(x)`, `tf.map_fn(f, x)`."""
        api = self.reading.api(node.func)
        if api == "numpy.vectorize" and node.args:
            yield from self._vectorized(node)
            return
        if (api != "builtins.map" and api not in _MAPPERS) or len(node.args) < 2:
            return
        scalar = self._function_clip(node.args[0].value)
        array = node.args[1].value
        tensor = self._array(array)
        if scalar is None:
            return
        if api in _MAPPERS:
            tensor = Tensor(_MAPPERS[api])
            replaced: cst.CSTNode | None = node if len(node.args) == 2 else None
        elif tensor is None:
            return
        else:
            listed = self._sole_user(node, "builtins.list")
            maker = self._maker(listed) if listed is not None else None
            replaced = maker if maker is not None and self._fits(maker, tensor) else None
        yield self._found(node, array, tensor, node.args[0].value, scalar, replaced)

    def _one_sided(self, function: cst.BaseExpression) -> _Scalar | None:
        """`lambda v: min(v, high)`. With a lower bound of zero it is a ReLU, and not meant as a clip."""
        body = function.body if isinstance(function, cst.Lambda) else None
        name, operands = self._extreme(body) if isinstance(body, cst.Call) else ("", None)
        if not isinstance(function, cst.Lambda) or not operands:
            return None
        params = [param.name.value for param in parameters(function)]
        for value, bound in (operands, operands[::-1]):
            if params == [self._element_name(value)] and self.reading.code(bound).number != 0:
                scalar = _Scalar(value, None, bound) if name == "min" else _Scalar(value, bound, None)
                return scalar if self._are_fixed(scalar, params) else None
        return None

    def _vectorized(self, node: cst.Call) -> Iterator[ElementwiseClip]:
        function = node.args[0].value
        scalar = self._function_clip(function) or self._one_sided(function)
        if scalar is None:
            return
        called = self.reading.parent(node)
        if isinstance(called, cst.Call) and called.func is node and len(called.args) == 1 and len(node.args) == 1:
            array = called.args[0].value
            replaced = called if not called.args[0].star and not called.args[0].keyword else None
            yield self._found(node, array, Tensor("numpy"), function, scalar, replaced)
        else:
            yield self._found(node, None, Tensor("numpy"), function, scalar, None)

    def loop(self, node: cst.For) -> Iterator[ElementwiseClip]:
        """`for i in range(len(x)): if x[i] > c: x[i] = c`, in any number of dimensions."""
        if isinstance(self.reading.parent(self.reading.parent(node) or node), cst.For) and self._is_only(node):
            return  # the outer loop is the finding
        loops = [node]
        while len(loops[-1].body.body) == 1 and isinstance(loops[-1].body.body[0], cst.For):
            loops.append(loops[-1].body.body[0])
        if any(loop.orelse is not None or loop.asynchronous is not None for loop in loops):
            return
        yield from self._by_index(loops)
        if len(loops) == 1:
            yield from self._appended(node)

    def _is_only(self, node: cst.For) -> bool:
        block = self.reading.parent(node)
        return isinstance(block, cst.IndentedBlock) and len(block.body) == 1

    def _by_index(self, loops: list[cst.For]) -> Iterator[ElementwiseClip]:
        statements: list[cst.CSTNode] = list(loops[-1].body.body)
        variables = [name for loop in loops for name in _names(loop.target)]
        scalar = self._assigned_clip(statements, variables, self._enumerated(loops))
        if scalar is None:
            return
        array, indices = _indexed(scalar.value)
        if array is None or not indices or not set(indices) <= set(variables) or not self._are_fixed(scalar, variables):
            return
        tensor = self._array(array)
        if tensor is None or tensor.library not in ("numpy", "torch") or any(self._is_short(loop) for loop in loops):
            return
        whole = len(indices) == len(loops) and all(
            self._covers(loop, array, axis, indices[axis]) for axis, loop in enumerate(loops)
        )
        replaced = loops[0] if whole and self._writes(statements, array) else None
        first = statements[0].body.body[0] if isinstance(statements[0], cst.If) else statements[0]
        yield self._found(loops[0], array, tensor, _assignment(first) or first, scalar, replaced, in_place=True)

    def _enumerated(self, loops: list[cst.For]) -> tuple[str, str] | None:
        """("v", "x[i]") for `for i, v in enumerate(x)`."""
        loop = loops[-1]
        names = _names(loop.target)
        if len(loops) != 1 or len(names) != 2 or not isinstance(loop.iter, cst.Call) or len(loop.iter.args) != 1:
            return None
        if self.reading.api(loop.iter.func) != "builtins.enumerate":
            return None
        return names[1], f"{self.reading.text(loop.iter.args[0].value)}[{names[0]}]"

    def _assigned_clip(
        self,
        statements: list[cst.CSTNode],
        variables: list[str],
        enumerated: tuple[str, str] | None,
    ) -> _Scalar | None:
        """What a body does that only clips: `if`s that assign a bound, or one assignment of a clip."""

        def is_element(node: cst.BaseExpression) -> bool:
            return bool(set(_indexed(node)[1]) & set(variables))

        only = _assignment(statements[0]) if len(statements) == 1 else None
        if only is not None:
            target = only.targets[0].target
            if not is_element(target) or (len(variables) < 2 and self._is_tensor_op(only.value)):
                return None
            if enumerated is not None and self.reading.text(target) == enumerated[1]:
                scalar = self._of_element(only.value, enumerated[0])
                return _Scalar(target, scalar.low, scalar.high) if scalar is not None else None
            return self.scalar(only.value, is_element)
        found: _Scalar | None = None
        into: str | None = None
        for statement in _chained(statements):
            if not isinstance(statement, cst.If) or len(statement.body.body) != 1:
                return None
            compared, given = self._comparison(statement.test), _assignment(statement.body.body[0])
            if compared is None or given is None:
                return None
            value, greater, bound = compared
            target = given.targets[0].target
            if enumerated == (self.reading.text(value), self.reading.text(target)):
                value = target
            text = self.reading.text(target)
            if not self._same(given.value, bound) or into not in (None, text) or not is_element(target):
                return None
            if text != self.reading.text(value) and not self._keeps_the_rest(statements, text, value):
                return None
            found, into = (
                self._both(found, _Scalar(value, None, bound) if greater else _Scalar(value, bound, None)),
                text,
            )
            if found is None or (isinstance(statement.orelse, cst.Else) and text == self.reading.text(value)):
                return None
        return found

    def _both(self, one: _Scalar | None, other: _Scalar) -> _Scalar | None:
        """A clip from below and one from above of the same number."""
        if one is None:
            return other
        if not self._is_text_of(one.value, other.value) or (one.low and other.low) or (one.high and other.high):
            return None
        return _Scalar(one.value, one.low or other.low, one.high or other.high)

    def _keeps_the_rest(self, statements: list[cst.CSTNode], target: str, value: cst.CSTNode) -> bool:
        """Whether one chain of `if`s ends with `else: y[i] = x[i]`, so that all of `y` is written."""
        last = list(_chained(statements))[-1]
        rest = last.orelse if len(statements) == 1 and isinstance(last, cst.If) else None
        given = _assignment(rest.body.body[0]) if isinstance(rest, cst.Else) and len(rest.body.body) == 1 else None
        return (
            given is not None
            and self.reading.text(given.targets[0].target) == target
            and self._is_text_of(given.value, value)
        )

    def _writes(self, statements: list[cst.CSTNode], array: cst.CSTNode) -> bool:
        """Whether a body writes into the array that it reads, and nothing else."""
        first = statements[0].body.body[0] if isinstance(statements[0], cst.If) else statements[0]
        only = _assignment(first)
        if only is None:
            return False
        target = only.targets[0].target
        return isinstance(target, cst.Subscript) and self._same(_indexed(target)[0] or target, array)

    def _covers(self, loop: cst.For | cst.CompFor, array: cst.BaseExpression, axis: int, index: str) -> bool:
        """Whether a loop runs over every index of an axis of the array."""
        if not isinstance(loop.iter, cst.Call) or _names(loop.target)[:1] != [index]:
            return False
        arguments = loop.iter.args
        if axis == 0 and isinstance(loop, cst.For) and self._enumerated([loop]) is not None:
            return self.reading.text(arguments[0].value) == self.reading.text(array)
        if self.reading.api(loop.iter.func) != "builtins.range" or len(arguments) != 1:
            return False
        name = self.reading.text(array)
        first = f"len({name})" if axis == 0 else f"len({name}{'[0]' * axis})"
        full = {first, f"{name}.shape[{axis}]", f"{name}.size({axis})", f"{name}.size()[{axis}]"}
        if axis == 0:
            full |= {f"{name}.size", f"{name}.numel()"}  # of more dimensions than one, an element would be a row
        end = arguments[0].value
        if self.reading.text(end) in full:
            return True
        bindings = self.reading.flow.reaching(end) if isinstance(end, cst.Name) else []
        return len(bindings) == 1 and self._is_length(bindings[0], name, axis, full)

    def _is_length(self, binding: Binding, name: str, axis: int, full: set[str]) -> bool:
        if binding.kind is not Kind.ASSIGN or binding.value is None:
            return False
        text = self.reading.text(binding.value)
        if not binding.path:
            return text in full
        shape = re.compile(rf"{re.escape(name)}\.(shape|size\(\))(\[:\d\])?")
        return binding.path == (axis,) and shape.fullmatch(text) is not None

    def _appended(self, loop: cst.For) -> Iterator[ElementwiseClip]:
        """`for v in x: out.append(min(max(v, lo), hi))`."""
        if len(loop.body.body) != 1 or not isinstance(loop.target, cst.Name):
            return
        line = loop.body.body[0]
        statement = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
        call = statement.value if isinstance(statement, cst.Expr) else None
        if not isinstance(call, cst.Call) or not isinstance(call.func, cst.Attribute) or len(call.args) != 1:
            return
        array: cst.BaseExpression | None = loop.iter
        scalar = self._of_element(call.args[0].value, loop.target.value)
        if scalar is None:
            scalar, array = self._by_position(call.args[0].value, loop.target.value, loop)
        if call.func.attr.value != "append" or scalar is None or not self._are_fixed(scalar, [loop.target.value]):
            return
        tensor = self._array(array) if array is not None else None
        if tensor is not None and not self._is_tensor_op(call.args[0].value):
            yield self._found(loop, array, tensor, call.args[0].value, scalar, None)

    # What is known of it

    def _array(self, node: cst.BaseExpression) -> Tensor | None:
        """The array or tensor of unknown, and so perhaps great, length that an expression is."""
        value = self.reading.value(node)
        if not isinstance(value, Tensor) or value.library == "theano" or _FEW.search(self.reading.text(node).lower()):
            return None
        return None if self._is_few(node) else value

    def _is_few(self, node: cst.BaseExpression, depth: int = 0) -> bool:
        """Whether an array is surely or likely a short one: made of a short display, a row of another one."""
        if isinstance(node, cst.Name):
            return depth < 4 and any(
                binding.kind is Kind.LOOP or (binding.value is not None and self._is_few(binding.value, depth + 1))
                for binding in self.reading.flow.reaching(node)
            )
        if isinstance(node, cst.Call):
            made = [arg.value for arg in node.args[:1]]
            if made and isinstance(self.reading.value(made[0]), Items):
                items = self.reading.value(made[0])
                return (
                    isinstance(items, Items)
                    and len(items.elements) <= _SHORT
                    and not any(isinstance(element.node, (cst.List, cst.Tuple)) for element in items.elements)
                )
        return False

    def _is_short(self, loop: cst.For) -> bool:
        """Whether a loop runs a small fixed number of times."""
        if isinstance(loop.iter, cst.Call) and self.reading.api(loop.iter.func) == "builtins.range" and loop.iter.args:
            number = self.reading.code(loop.iter.args[:2][-1].value).number
            return number is not None and number <= _SHORT
        value = self.reading.value(loop.iter)
        return isinstance(value, Items) and len(value.elements) <= _SHORT

    def _are_fixed(self, scalar: _Scalar, variables: list[str]) -> bool:
        """Whether the bounds are there, and the same for every element."""
        bounds = [bound for bound in (scalar.low, scalar.high) if bound is not None]
        return bool(bounds) and not any(
            isinstance(node, (cst.Call, cst.Await)) or (isinstance(node, cst.Name) and node.value in variables)
            for bound in bounds
            for node in self.reading.tree.below(bound)
        )

    def _is_tensor_op(self, node: cst.CSTNode) -> bool:
        """Whether an element is clipped by an array library, so that it may be a whole row."""
        return isinstance(node, cst.Call) and self._clip(node) is not None

    def _unstacked(self, node: cst.BaseExpression) -> cst.BaseExpression:
        if isinstance(node, cst.Call) and self.reading.api(node.func) in _UNSTACKERS and len(node.args) == 1:
            return node.args[0].value
        return node

    def _maker(self, node: cst.CSTNode) -> cst.Call | None:
        """The call that makes an array again of what a loop gave."""
        argument = self.reading.parent(node)
        call = self.reading.parent(argument) if isinstance(argument, cst.Arg) else None
        if isinstance(call, cst.Call) and self.reading.api(call.func) in _MAKERS:
            return call if call.args[0] is argument and len(call.args) == 1 else None
        return None

    def _fits(self, maker: cst.Call, tensor: Tensor) -> bool:
        """Whether what is made is of the kind that a vectorised clip of the array gives."""
        made = (self.reading.api(maker.func) or "").split(".")[0]
        return made == tensor.library or (made == "tensorflow" and tensor.library == "keras")

    def _code_only(self, node: cst.CSTNode) -> str:
        """The text of an expression or a loop, without the comments above it."""
        return self.reading.module.code_for_node(
            node.with_changes(leading_lines=()) if isinstance(node, cst.For) else node
        )

    def _sole_user(self, node: cst.Call, api: str) -> cst.Call | None:
        argument = self.reading.parent(node)
        call = self.reading.parent(argument) if isinstance(argument, cst.Arg) else None
        if isinstance(call, cst.Call) and self.reading.api(call.func) == api and len(call.args) == 1:
            return call
        return None

    def _found(
        self,
        node: cst.CSTNode,
        array: cst.BaseExpression | None,
        tensor: Tensor,
        element: cst.CSTNode,
        scalar: _Scalar,
        replaced: cst.CSTNode | None,
        in_place: bool = False,
    ) -> ElementwiseClip:
        code = self.reading.code
        comment = _head_comment(replaced)
        if replaced is not None and self._code_only(replaced).count("#") > bool(comment):
            replaced = None  # comments would be lost
        return ElementwiseClip(
            comment=comment,
            code=code(node),
            array=code(array) if array is not None else None,
            library=tensor.library,
            element=code(element),
            low=code(scalar.low) if scalar.low is not None else None,
            high=code(scalar.high) if scalar.high is not None else None,
            replaced=code(replaced) if replaced is not None else None,
            in_place=in_place,
            detaches=tensor.library == "torch" and not in_place and not self._is_tensor_op(element),
        )


def _head_comment(node: cst.CSTNode | None) -> str:
    """The comment behind the colon of a loop, with the white space before it."""
    header = node.body.header if isinstance(node, cst.For) and isinstance(node.body, cst.IndentedBlock) else None
    if header is None or header.comment is None:
        return ""
    return header.whitespace.value + header.comment.value


def _indexed(node: cst.BaseExpression) -> tuple[cst.BaseExpression | None, list[str]]:
    """(x, [i, j]) for `x[i, j]` and `x[i][j]`."""
    indices: list[str] = []
    while isinstance(node, cst.Subscript):
        here: list[str] = []
        for element in node.slice:
            if not isinstance(element.slice, cst.Index) or not isinstance(element.slice.value, cst.Name):
                return None, []
            here.append(element.slice.value.value)
        indices = here + indices
        node = node.value
    return node, indices


def _names(target: cst.BaseExpression) -> list[str]:
    if isinstance(target, (cst.Tuple, cst.List)):
        return [name for element in target.elements for name in _names(element.value)]
    return [target.value] if isinstance(target, cst.Name) else []


def _assignment(statement: cst.CSTNode) -> cst.Assign | None:
    if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1:
        statement = statement.body[0]
    return statement if isinstance(statement, cst.Assign) and len(statement.targets) == 1 else None


def _chained(statements: list[cst.CSTNode]) -> Iterator[cst.CSTNode]:
    """The statements, with the `elif`s of each as statements of their own."""
    for statement in statements:
        node: cst.CSTNode | None = statement
        while node is not None:
            yield node
            node = node.orelse if isinstance(node, cst.If) and isinstance(node.orelse, cst.If) else None


def _returned(statement: cst.CSTNode) -> cst.BaseExpression | None:
    if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1:
        statement = statement.body[0]
    return statement.value if isinstance(statement, cst.Return) else None


def _is_docstring(statement: cst.CSTNode) -> bool:
    if not isinstance(statement, cst.SimpleStatementLine) or not isinstance(statement.body[0], cst.Expr):
        return False
    return isinstance(statement.body[0].value, (cst.SimpleString, cst.ConcatenatedString))
