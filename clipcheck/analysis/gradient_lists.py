"""Follows lists of gradients: from where they are computed, through their clip, to where they are applied."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Binding, Kind
from clipcheck.analysis.stores import is_read, is_variable
from clipcheck.frameworks import CLIPS, GRADIENT_CLIPS, METHOD_CLIPS
from clipcheck.model.code import Call
from clipcheck.model.gradients import ClipOfNone, PairAsGradients, Rewrite, UnusedGradientClip
from clipcheck.model.value import Constant, Many, Pair, Tensor

_GLOBAL_NORM = "tensorflow.clip_by_global_norm"
_APPLIERS = frozenset({"apply_gradients", "apply"})
_LISTERS = frozenset({"builtins.list", "builtins.tuple"})
_BLOCKS = (cst.IndentedBlock, cst.SimpleStatementSuite, cst.Module)
_GRADIENT = re.compile(r"^_?(g|gv|gvs|dw|\w*grads?\w*)$", re.IGNORECASE)


# -- clipped, and then the unclipped ones applied


def read_unused_clips(reading: FileReading) -> Iterator[UnusedGradientClip]:
    """Every clip of a list of gradients whose result nothing reads, while the list itself is applied afterwards."""
    for clip, raw in (*_list_clips(reading), *_loop_clips(reading)):
        bound = _bound(reading, clip)
        if bound is None:
            continue
        target, is_lost = bound
        applied = _applied_after(reading, clip, raw) if is_lost else None
        if applied is not None:
            clipped = reading.code(target) if target is not None else None
            remedy = _applying_clipped(reading, clip, target, raw, applied)
            yield UnusedGradientClip(reading.code(clip), clipped, reading.code(applied), remedy)


def _list_clips(reading: FileReading) -> Iterator[tuple[cst.BaseExpression, cst.Name]]:
    """The expressions that make clipped gradients of a list with a name, and that name."""
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        if call.callee.api == _GLOBAL_NORM:
            given = call.argument(0, "t_list")
            if given is not None and isinstance(given.code.node, cst.Name):
                yield node, given.code.node
    comprehensions: list[cst.ListComp | cst.GeneratorExp] = [
        *reading.tree.all(cst.ListComp),
        *reading.tree.all(cst.GeneratorExp),
    ]
    for comprehension in comprehensions:
        walked = _walked_list(reading, comprehension.for_in.iter)
        inner = comprehension.for_in.inner_for_in
        clip = _element_clip(reading, comprehension.elt, comprehension.for_in.target)
        if walked is not None and inner is None and clip is not None:
            yield comprehension, walked


def _loop_clips(reading: FileReading) -> Iterator[tuple[cst.BaseExpression, cst.Name]]:
    """The clips in `for g in grads: clipped.append(clip(g))`, and those whose result a loop drops, with the list.

    A dropped `clip_by_value` is a matter of value clipping.
    """
    for loop in reading.tree.all(cst.For):
        walked = _walked_list(reading, loop.iter)
        if walked is None:
            continue
        for node in reading.tree.below(loop.body):
            if not isinstance(node, cst.Call):
                continue
            call = Call(node, reading)
            if call.method == "append" and len(node.args) == 1:
                if _element_clip(reading, node.args[0].value, loop.target) is not None:
                    yield node.args[0].value, walked
            elif call.callee.api in GRADIENT_CLIPS and _element_clip(reading, node, loop.target) is not None:
                yield node, walked


def _walked_list(reading: FileReading, node: cst.BaseExpression) -> cst.Name | None:
    """The list of gradients that `for g in grads`, `for g, v in zip(grads, variables)` go through."""
    if isinstance(node, cst.Call) and reading.name(node.func) in ("builtins.zip", "builtins.enumerate") and node.args:
        node = node.args[0].value
    return node if isinstance(node, cst.Name) else None


def _element_clip(
    reading: FileReading, element: cst.BaseExpression, target: cst.BaseAssignTargetExpression
) -> Call | None:
    """The clip of a loop's variable in what a comprehension lists, or a loop appends."""
    variables = _target_names(target)
    for node in reading.tree.below(element):
        if isinstance(node, cst.Call):
            subject = _clipped(Call(node, reading))
            if isinstance(subject, cst.Name) and subject.value in variables:
                return Call(node, reading)
    return None


def _target_names(target: cst.BaseExpression) -> list[str]:
    if isinstance(target, cst.Name):
        return [target.value]
    if isinstance(target, (cst.Tuple, cst.List)):
        return [name for element in target.elements for name in _target_names(element.value)]
    return []


def _clipped(call: Call) -> cst.BaseExpression | None:
    """What a call clips out of place, of one gradient."""
    api = call.callee.api or ""
    gradient_clip, value_clip = GRADIENT_CLIPS.get(api), CLIPS.get(api)
    if gradient_clip is not None and not gradient_clip.in_place and api != _GLOBAL_NORM:
        argument = call.argument(gradient_clip.target.position, *gradient_clip.target.keywords)
    elif value_clip is not None and value_clip.value is not None and not value_clip.in_place:
        argument = call.argument(value_clip.value.position, *value_clip.value.keywords)
    elif call.method in METHOD_CLIPS and not METHOD_CLIPS[call.method].in_place and call.callee.api is None:
        return call.node.func.value if isinstance(call.node.func, cst.Attribute) else None
    else:
        return None
    return argument.node.value if argument is not None else None


def _bound(reading: FileReading, clip: cst.BaseExpression) -> tuple[cst.Name | None, bool] | None:
    """The name that clipped gradients are bound to, and whether nothing reads it; None where it is another use."""
    node: cst.CSTNode = clip
    parent = reading.parent(node)
    if isinstance(parent, cst.Arg):
        call = reading.parent(parent)
        if isinstance(call, cst.Call) and isinstance(call.func, cst.Attribute) and call.func.attr.value == "append":
            return _only_appended_to(reading, call.func.value)
        if isinstance(call, cst.Call) and reading.name(call.func) in _LISTERS:
            node, parent = call, reading.parent(call)
    if isinstance(parent, cst.Subscript) and _is_first(reading, parent):
        node, parent = parent, reading.parent(parent)
    if isinstance(parent, cst.Expr):
        return None, not reading.is_shown(node) and not isinstance(clip, cst.GeneratorExp)
    if not isinstance(parent, cst.Assign) or len(parent.targets) != 1:
        return None
    target: cst.BaseExpression = parent.targets[0].target
    if isinstance(clip, cst.Call) and isinstance(target, (cst.Tuple, cst.List)) and target.elements:
        target = target.elements[0].value
    if not isinstance(target, cst.Name) or target.value.startswith("_"):
        return None  # `_, norm = …` only wants the norm
    scope = reading.scopes.function_of(reading.scopes.of(target))
    is_lost = target.value not in scope.outer_names and not is_read(reading, target, parent)
    return target, is_lost


def is_unread(reading: FileReading, clip: cst.Call) -> bool:
    """Whether nothing reads what a clip of gradients returns: neither the gradients nor their norm.

    A `clip_by_value` that is dropped as it stands is a matter of value clipping.
    """
    listing = _listing(reading, clip)
    bound = _bound(reading, listing)
    if bound is None or not bound[1] or (bound[0] is None and reading.api(clip.func) not in GRADIENT_CLIPS):
        return False
    statement = reading.statement(clip)
    if bound[0] is not None and not isinstance(statement, cst.Assign):
        return False  # it is appended to a list that may be a record of all steps
    targets = statement.targets[0].target if isinstance(statement, cst.Assign) else None
    others = [name for name in _target_names(targets) if not name.startswith("_")] if targets is not None else []
    names = [n for n in reading.tree.below(statement) if isinstance(n, cst.Name) and n.value in others]
    return not any(is_read(reading, name, statement) for name in names if is_variable(reading, name))


def replaces(reading: FileReading, clip: cst.Call) -> bool:
    """Whether clipped gradients take the name of the list that they were clipped from, one for each of it."""
    listing = _listing(reading, clip)
    bound = _bound(reading, listing)
    target = bound[0] if bound is not None else None
    raw = next((raw for made, raw in _list_clips(reading) if made is listing), None)
    is_same = target is not None and raw is not None and target.value == raw.value
    return is_same and _keeps_all(reading, listing)


def _listing(reading: FileReading, clip: cst.Call) -> cst.BaseExpression:
    """The comprehension that lists what a clip returns for each gradient; else the clip itself."""
    node: cst.CSTNode = clip
    above = reading.parent(node)
    while isinstance(above, (cst.Element, cst.Tuple, cst.IfExp)):
        node, above = above, reading.parent(above)
    is_listed = isinstance(above, (cst.ListComp, cst.GeneratorExp)) and above.elt is node
    return above if isinstance(above, (cst.ListComp, cst.GeneratorExp)) and is_listed else clip


def _is_first(reading: FileReading, subscript: cst.Subscript) -> bool:
    """Whether it is `pair[0]`."""
    index = subscript.slice[0].slice
    return isinstance(index, cst.Index) and reading.value(index.value) == Constant(0)


def _only_appended_to(reading: FileReading, name: cst.BaseExpression) -> tuple[cst.Name | None, bool] | None:
    """A list that starts empty, and whether nothing is ever done with it but appending."""
    bindings = reading.flow.reaching(name) if isinstance(name, cst.Name) else []
    if len(bindings) != 1 or not isinstance(bindings[0].value, cst.List) or not isinstance(bindings[0].node, cst.Name):
        return None
    target = bindings[0].node
    named = [n for n in reading.tree.all(cst.Name) if n.value == target.value and is_variable(reading, n)]
    uses = [n for n in named if n is not target]
    parents = [reading.parent(use) for use in uses]
    appended = all(isinstance(p, cst.Attribute) and p.value in uses and p.attr.value == "append" for p in parents)
    return target, appended and len(bindings[0].scope.bindings[target.value]) == 1


def _applied_after(reading: FileReading, clip: cst.BaseExpression, raw: cst.Name) -> cst.Name | None:
    """Where the gradients that a clip has read are applied afterwards, as they were."""
    order = reading.tree.order
    pairs = _pairs_of(reading, raw)
    for use in reading.tree.all(cst.Name):
        list_ = raw if use.value == raw.value else pairs
        if list_ is None or use.value != list_.value or order[use] <= order[clip] or not is_variable(reading, use):
            continue
        if reading.function(use) is not reading.function(clip) or _in_other_branch(reading, clip, use):
            continue
        bindings = reading.flow.reaching(use)
        if bindings and set(bindings) == set(reading.flow.reaching(list_)) and _is_applied(reading, use):
            return use
    return None


def _pairs_of(reading: FileReading, raw: cst.Name) -> cst.Name | None:
    """The list of pairs in `grads, variables = zip(*pairs)`."""
    bindings = reading.flow.reaching(raw)
    value = bindings[0].value if len(bindings) == 1 and bindings[0].path == (0,) else None
    if not isinstance(value, cst.Call) or len(value.args) != 1 or value.args[0].star != "*":
        return None
    pairs = value.args[0].value
    return pairs if isinstance(pairs, cst.Name) and reading.name(value.func) == "builtins.zip" else None


def _in_other_branch(reading: FileReading, one: cst.CSTNode, other: cst.CSTNode) -> bool:
    above = set(reading.tree.ancestors(other))
    child = one
    for node in reading.tree.ancestors(one):
        if isinstance(node, cst.If) and node in above:
            return node.body in above if child is node.orelse else node.orelse in above
        child = node
    return False


def _is_applied(reading: FileReading, use: cst.Name) -> bool:
    """Whether a list of gradients is handed to an optimizer, or used by hand to change parameters."""
    zipped = _zipped(reading, use)
    if _is_given_to_optimizer(reading, use) or (zipped is not None and _is_given_to_optimizer(reading, zipped)):
        return True
    if zipped is None:
        return False
    parent = reading.parent(zipped)
    comprehension = reading.parent(parent) if isinstance(parent, cst.CompFor) else None
    if isinstance(comprehension, (cst.ListComp, cst.GeneratorExp)) and isinstance(comprehension.elt, cst.Tuple):
        plain = all(isinstance(element.value, cst.Name) for element in comprehension.elt.elements)
        return plain and _is_given_to_optimizer(reading, comprehension)
    if isinstance(parent, cst.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0].target, cst.Name):
        name = parent.targets[0].target
        later = [n for n in reading.tree.all(cst.Name) if n.value == name.value and n is not name]
        return any(
            [b.statement for b in reading.flow.reaching(n)] == [parent] and _is_given_to_optimizer(reading, n)
            for n in later
        )
    return _is_subtracted(reading, zipped)


def _zipped(reading: FileReading, use: cst.Name) -> cst.Call | None:
    """The `zip(use, …)`, or `list(zip(use, …))`, that a list stands in."""
    argument = reading.parent(use)
    call = reading.parent(argument) if isinstance(argument, cst.Arg) and not argument.star else None
    if not isinstance(call, cst.Call) or reading.name(call.func) != "builtins.zip" or len(call.args) != 2:
        return None
    above = reading.parent(call)
    lister = reading.parent(above) if isinstance(above, cst.Arg) else None
    return lister if isinstance(lister, cst.Call) and reading.name(lister.func) in _LISTERS else call


def _is_given_to_optimizer(reading: FileReading, node: cst.BaseExpression) -> bool:
    """Whether it is the first argument of `optimizer.apply_gradients(…)` or `optimizer.apply(…)`."""
    argument = reading.parent(node)
    node_above = reading.parent(argument) if isinstance(argument, cst.Arg) else None
    if not isinstance(node_above, cst.Call):
        return False
    call = Call(node_above, reading)
    if call.method not in _APPLIERS or (call.method == "apply" and "opt" not in (call.callee.text.lower())):
        return False
    first = call.argument(0, "grads_and_vars", "grads")
    return first is not None and first.node is argument


def _is_subtracted(reading: FileReading, zipped: cst.Call) -> bool:
    """Whether a loop over `zip(parameters, gradients)` makes the updates itself: torch's gradients, by hand."""
    if not any(_holds_torch_gradients(reading, arg.value) for arg in _zip_of(reading, zipped).args):
        return False
    above = reading.parent(zipped)
    if isinstance(above, cst.For) and above.iter is zipped:
        return any(_changes(node, _target_names(above.target)) for node in reading.tree.below(above.body))
    comprehension = reading.parent(above) if isinstance(above, cst.CompFor) and above.iter is zipped else None
    if isinstance(comprehension, (cst.ListComp, cst.GeneratorExp)):
        element = comprehension.elt
        return isinstance(element, cst.BinaryOperation) and isinstance(element.operator, cst.Subtract)
    return False


def _zip_of(reading: FileReading, node: cst.Call) -> cst.Call:
    inner = node.args[0].value if reading.name(node.func) in _LISTERS else node
    return inner if isinstance(inner, cst.Call) else node


def _holds_torch_gradients(reading: FileReading, node: cst.BaseExpression) -> bool:
    value = reading.value(node)
    element = value.element if isinstance(value, Many) else None
    return isinstance(element, Tensor) and element.library == "torch" and element.role == "gradient"


def _changes(node: cst.CSTNode, names: list[str]) -> bool:
    """Whether a statement in a loop over (parameter, gradient) updates the parameter, or gives it the gradient."""
    if isinstance(node, cst.Assign):
        target: cst.CSTNode = node.targets[0].target
        is_gradient = isinstance(target, cst.Attribute) and target.attr.value in ("grad", "data")
        return is_gradient and isinstance(node.value, (cst.Name, cst.BinaryOperation))
    if isinstance(node, cst.AugAssign):
        return isinstance(node.operator, cst.SubtractAssign)
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        return node.func.attr.value in ("sub_", "add_", "copy_") and _root_name(node.func.value) in names
    return False


def _root_name(node: cst.BaseExpression) -> str | None:
    while isinstance(node, cst.Attribute):
        node = node.value
    return node.value if isinstance(node, cst.Name) else None


def _applying_clipped(
    reading: FileReading, clip: cst.BaseExpression, target: cst.Name | None, raw: cst.Name, applied: cst.Name
) -> Rewrite | None:
    """Apply the clipped list where it is surely made by then; else give it the name that is applied."""
    if not _keeps_all(reading, clip) or applied.value != raw.value:
        return None
    statement = reading.statement(clip)
    if target is None:
        unpacked = f"{raw.value}, {_ignored(reading, clip)}" if isinstance(clip, cst.Call) else raw.value
        return Rewrite(reading.code(statement), f"{unpacked} = {reading.text(statement)}")
    is_pair = isinstance(clip, cst.Call) and isinstance(reading.parent(clip), cst.Assign)
    if is_pair and isinstance(reading.parent(target), cst.AssignTarget):
        return Rewrite(reading.code(statement), f"{raw.value}, {_ignored(reading, clip)} = {reading.text(clip)}")
    block = next((above for above in reading.tree.ancestors(clip) if isinstance(above, _BLOCKS)), None)
    is_direct = isinstance(reading.parent(clip), (cst.Assign, cst.Subscript))
    if block in set(reading.tree.ancestors(applied)) and is_direct:
        return Rewrite(reading.code(applied), target.value)
    is_appended = not isinstance(statement, cst.Assign)
    return None if is_appended else Rewrite(reading.code(target), raw.value)


def _keeps_all(reading: FileReading, clip: cst.BaseExpression) -> bool:
    """Whether the clipped list has one element for each of the unclipped one, of the same kind."""
    if isinstance(clip, cst.Call):
        return reading.api(clip.func) == _GLOBAL_NORM
    if not isinstance(clip, (cst.ListComp, cst.GeneratorExp)):
        return False
    is_zip = isinstance(clip.for_in.iter, cst.Call)
    pairs = isinstance(clip.for_in.target, cst.Tuple)
    return not clip.for_in.ifs and not is_zip and isinstance(clip.elt, cst.Tuple) == pairs


def _ignored(reading: FileReading, at: cst.CSTNode) -> str:
    """A name for the norm that nothing reads: `_`, unless the file calls that to translate its messages."""
    translates = any(isinstance(c.func, cst.Name) and c.func.value == "_" for c in reading.tree.all(cst.Call))
    return reading.code(at).free_name("norm") if translates else "_"


# -- the pair of clip_by_global_norm


def read_pairs_as_gradients(reading: FileReading) -> Iterator[PairAsGradients]:
    """Every `tf.clip_by_global_norm(…)` whose pair is zipped, iterated or applied as it is."""
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        if call.callee.api != _GLOBAL_NORM:
            continue
        if _is_used_as_list(reading, node):
            yield PairAsGradients(call, None, call, Rewrite(call, f"{call.text}[0]"))
            continue
        statement = reading.parent(node)
        if not isinstance(statement, cst.Assign) or len(statement.targets) != 1:
            continue
        target = statement.targets[0].target
        if isinstance(target, cst.Name):
            uses = _uses_of_only(reading, target, statement)
            wrong = [use for use in uses if _is_used_as_list(reading, use)]
            if wrong:
                unpacked = f"{target.value}, {_ignored(reading, node)} = {call.text}"
                remedy = Rewrite(reading.code(statement), unpacked) if len(wrong) == len(uses) else None
                yield PairAsGradients(call, reading.code(target), reading.code(wrong[0]), remedy)


def _uses_of_only(reading: FileReading, target: cst.Name, statement: cst.CSTNode | None) -> list[cst.Name]:
    """The uses of a name that only this statement can have bound."""
    return [
        name
        for name in reading.tree.all(cst.Name)
        if name.value == target.value
        and name is not target
        and is_variable(reading, name)
        and [b.statement for b in reading.flow.reaching(name)] == [statement]
    ]


def _is_used_as_list(reading: FileReading, node: cst.BaseExpression) -> bool:
    """Whether something is zipped, iterated or applied as a list of gradients."""
    parent = reading.parent(node)
    if isinstance(parent, (cst.For, cst.CompFor)):
        return parent.iter is node and isinstance(parent.target, cst.Name)
    if not isinstance(parent, cst.Arg) or parent.star:
        return False
    call = reading.parent(parent)
    if not isinstance(call, cst.Call):
        return False
    if reading.name(call.func) in ("builtins.zip", "builtins.enumerate"):
        return True
    return _is_given_to_optimizer(reading, node)


# -- clips that meet None


def read_clips_of_none(reading: FileReading) -> Iterator[ClipOfNone]:
    """Every clip of one gradient after the other, where one of them probably is None and nothing looks."""
    comprehensions: list[cst.ListComp | cst.GeneratorExp] = [
        *reading.tree.all(cst.ListComp),
        *reading.tree.all(cst.GeneratorExp),
    ]
    for comprehension in comprehensions:
        call = _element_clip(reading, comprehension.elt, comprehension.for_in.target)
        if call is None or call.callee.api is None or comprehension.for_in.ifs:
            continue
        source = _source(reading, comprehension.for_in.iter)
        subject = _clipped(call)
        if source is None or not isinstance(subject, cst.Name) or _is_guarded(reading, comprehension, subject.value):
            continue
        unreached = _unreached(reading, source)
        guard = _guard_elsewhere(reading, comprehension)
        if unreached is not None or guard is not None:
            code = reading.code
            yield ClipOfNone(
                clip=call,
                gradient=code(subject),
                unreached=code(unreached) if unreached is not None else None,
                guard=code(guard) if guard is not None else None,
                guarded=f"{call.text} if {subject.value} is not None else None",
            )


def _source(reading: FileReading, node: cst.BaseExpression, depth: int = 0) -> Call | None:
    """The `tape.gradient(…)` or `compute_gradients(…)` that a list of gradients comes straight from."""
    if isinstance(node, cst.Name):
        bindings = reading.flow.reaching(node)
        only: Binding | None = bindings[0] if len(bindings) == 1 else None
        if only is None or only.kind is not Kind.ASSIGN or only.value is None or depth > 4:
            return None
        unpacked = isinstance(only.value, cst.Call) and any(arg.star for arg in only.value.args)
        return _source(reading, only.value, depth + 1) if not only.path or (unpacked and only.path == (0,)) else None
    if not isinstance(node, cst.Call):
        return None
    call = Call(node, reading)
    if call.callee.name in ("builtins.zip", "builtins.enumerate", *_LISTERS):
        return _source(reading, node.args[0].value, depth + 1) if node.args else None
    if call.method not in ("gradient", "compute_gradients") or call.argument(None, "unconnected_gradients") is not None:
        return None
    value = reading.value(node)
    element = value.element if isinstance(value, Many) else None
    element = element.first if isinstance(element, Pair) else element
    return call if isinstance(element, Tensor) and element.role == "gradient" else None


def _is_guarded(reading: FileReading, comprehension: cst.CSTNode, name: str) -> bool:
    """Whether a comprehension looks at the gradient before it clips it."""
    tests = (node for node in reading.tree.below(comprehension) if isinstance(node, (cst.IfExp, cst.BooleanOperation)))
    return any(isinstance(n, cst.Name) and n.value == name for test in tests for n in reading.tree.below(test))


def _unreached(reading: FileReading, source: Call) -> cst.BaseExpression | None:
    """The model, one of several whose variables are asked for, that nothing under the tape calls."""
    asked = source.argument(1, "sources", "var_list")
    receiver = source.receiver
    if asked is None or source.method != "gradient" or receiver is None or not isinstance(receiver.node, cst.Name):
        return None
    tapes = [b.statement for b in reading.flow.reaching(receiver.node) if b.kind is Kind.WITH]
    block = reading.parent(tapes[0]) if len(tapes) == 1 else None
    models = list(_models_of(reading, asked.code.node))
    if not isinstance(block, cst.With) or len(models) < 2:
        return None
    words = {reading.text(n) for n in reading.tree.below(block.body) if isinstance(n, (cst.Name, cst.Attribute))}
    called = [node for node in reading.tree.below(block.body) if isinstance(node, cst.Call)]
    if any(reading.origins.function(call) is not None for call in called):
        return None
    if not any(reading.text(call.func) == reading.text(model) for call in called for model in models):
        return None
    return next((model for model in models if reading.text(model) not in words), None)


def _models_of(reading: FileReading, node: cst.CSTNode) -> Iterator[cst.BaseExpression]:
    """The models of `a.trainable_variables + b.trainable_variables`."""
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
        yield from _models_of(reading, node.left)
        yield from _models_of(reading, node.right)
    elif isinstance(node, cst.Attribute) and node.attr.value in (
        "trainable_variables",
        "trainable_weights",
        "variables",
    ):
        yield node.value
    elif isinstance(node, cst.Name):
        bindings = reading.flow.reaching(node)
        if len(bindings) == 1 and bindings[0].kind is Kind.ASSIGN and not bindings[0].path and bindings[0].value:
            yield from _models_of(reading, bindings[0].value)


def _guard_elsewhere(reading: FileReading, comprehension: cst.CSTNode) -> cst.BaseExpression | None:
    """Where the file asks whether one of a list of gradients is None."""
    for comparison in reading.tree.all(cst.Comparison):
        left = comparison.left
        if not isinstance(left, cst.Name) or len(comparison.comparisons) != 1 or not _GRADIENT.match(left.value):
            continue
        target = comparison.comparisons[0]
        if not isinstance(target.operator, (cst.Is, cst.IsNot)) or reading.text(target.comparator) != "None":
            continue
        loops = [b for b in reading.flow.reaching(left) if b.kind is Kind.LOOP and b.value is not None]
        if any(loop.value is not None and _source(reading, loop.value) is not None for loop in loops):
            return comparison
    return None
