"""Finds what bounds the gradients of a model, whichever way it is spelled."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.frameworks import CLIPS, GRADIENT_CLIPS
from clipcheck.frameworks.keras import CLIP_ARGUMENTS
from clipcheck.model.code import Argument, Call, Code
from clipcheck.model.critics import GradientBound
from clipcheck.model.networks import Training
from clipcheck.model.value import Constant, Many, Tensor

_BLOCKS = (cst.IndentedBlock, cst.Module)
_IN_PLACE = frozenset({"clamp_", "clip_"})


def read_gradient_bounds(reading: FileReading) -> Iterator[GradientBound]:
    """Every bound on the gradients of one model, in the order of the source."""
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        if any(arg.keyword is not None and arg.keyword.value in CLIP_ARGUMENTS for arg in node.args):
            yield from _of_optimizer(call, reading)
        else:
            yield from _of_call(call, reading)


def _of_optimizer(call: Call, reading: FileReading) -> Iterator[GradientBound]:
    """`RMSprop(clipvalue=0.01)`, for each model that it trains."""
    trainings = [t for t in reading.networks.trainings if t.optimizer is not None and t.optimizer.node is call.node]
    for name in CLIP_ARGUMENTS:
        argument = call.argument(None, name)
        if argument is not None and argument.code.value != Constant(None):
            by = "value" if name == "clipvalue" else "norm"
            for training in trainings:
                yield GradientBound(call, argument, argument.code, by, training.model, training)


def _of_call(call: Call, reading: FileReading) -> Iterator[GradientBound]:
    api = GRADIENT_CLIPS.get(call.callee.api or "")
    if api is not None:
        target = call.argument(api.target.position, *api.target.keywords)
        limit = call.argument(api.bound.position, *api.bound.keywords)
        by = "value" if api.by == "value" else "norm"
    elif call.callee.api in CLIPS and call.callee.api != "numpy.clip":
        clip = CLIPS[call.callee.api or ""]
        target = call.argument(clip.value.position, *clip.value.keywords) if clip.value is not None else None
        limit = call.argument(clip.high.position, *clip.high.keywords)
        by = "value"
        if target is None or not _is_gradient(target.code):
            return
    elif call.method in _IN_PLACE and call.receiver is not None and _is_gradient(call.receiver):
        yield from _of_tensor(call, call.receiver, call.argument(1, "max"), reading)
        return
    else:
        return
    if target is None:
        return
    library = api.library if api is not None else clip.library
    if library == "torch":
        yield from _of_torch(call, target, limit, by, reading)
    else:
        yield from _of_tape(call, target, limit, by, reading)


def _of_torch(
    call: Call, target: Argument, limit: Argument | None, by: str, reading: FileReading
) -> Iterator[GradientBound]:
    owners, _ = reading.networks.whose_parameters(target.node.value)
    if not owners:
        value = target.code.value
        owners = [value.owner] if isinstance(value, Tensor) and value.owner is not None else []
    if len(owners) == 1:
        yield _with_step(call, owners[0], limit, by, reading)


def _of_tensor(call: Call, tensor: Code, limit: Argument | None, reading: FileReading) -> Iterator[GradientBound]:
    """`p.grad.clamp_(-c, c)` for the parameters of a model."""
    value = tensor.value
    if isinstance(value, Tensor) and value.owner is not None:
        yield _with_step(call, value.owner, limit, "value", reading)


def _of_tape(
    call: Call, target: Argument, limit: Argument | None, by: str, reading: FileReading
) -> Iterator[GradientBound]:
    """A clip of gradients that are applied in the same function: to the model whose variables stand there."""
    if not _is_gradient(target.code):
        return
    function = call.function
    order = reading.tree.order
    after = [
        training
        for training in reading.networks.trainings
        if training.at.method in ("apply_gradients", "apply")
        and training.at.function == function
        and order[training.at.node] > order[call.node]
        and _uses_result(call, training, reading)
    ]
    if after and len({training.at.node for training in after}) == 1 and len(after) == 1:
        training = after[0]
        clipped, unclipped = _unclipped(call, target, reading)
        yield GradientBound(
            call=call,
            argument=None,
            limit=limit.code if limit else None,
            by=by,
            model=training.model,
            training=training,
            step=training.at,
            place=_removable(call, clipped, unclipped, reading),
            clipped=clipped,
            unclipped=unclipped,
        )


def _uses_result(call: Call, training: Training, reading: FileReading) -> bool:
    """Whether the clip's result, or what it is assigned to, stands among the arguments of the update."""
    if call.inside(training.at):
        return True
    statement = reading.statement(call.node)
    if not isinstance(statement, cst.Assign):
        return False
    names = {
        node.value for target in statement.targets for node in reading.tree.below(target) if isinstance(node, cst.Name)
    }
    return any(
        isinstance(node, cst.Name)
        and node.value in names
        and any(binding.statement is statement for binding in reading.flow.reaching(node))
        for argument in training.at.arguments
        for node in reading.tree.below(argument.node)
    )


def _is_gradient(code: Code) -> bool:
    value = code.value
    if isinstance(value, Many):
        value = value.element
    return isinstance(value, Tensor) and value.role == "gradient"


def _with_step(call: Call, model: Code, limit: Argument | None, by: str, reading: FileReading) -> GradientBound:
    training = _training_of(model, reading)
    place = reading.code(_outermost(call, reading)) if call.is_bare_statement else None
    step, is_before = _step(place, model, training, reading) if place is not None else (None, False)
    return GradientBound(
        call=call,
        argument=None,
        limit=limit.code if limit else None,
        by=by,
        model=model,
        training=training,
        step=step,
        step_is_before=is_before,
        place=place,
    )


def _unclipped(call: Call, target: Argument, reading: FileReading) -> tuple[Code | None, Code | None]:
    """The expression of all clipped gradients, and that of the gradients themselves.

    `[clip(g) for g in grads]` gives itself and `grads`; the pair of `clip_by_global_norm(grads, c)` gives nothing that
    could take its place.
    """
    above = reading.parent(call.node)
    if isinstance(above, (cst.ListComp, cst.GeneratorExp)) and above.elt is call.node:
        loop = above.for_in
        if loop.inner_for_in is None and not loop.ifs and reading.text(loop.target) == target.code.text:
            return reading.code(above), reading.code(loop.iter)
        return None, None
    return None, None


def _removable(call: Call, clipped: Code | None, unclipped: Code | None, reading: FileReading) -> Code | None:
    """The statement `grads = [clip(g) for g in grads]`, which goes as a whole."""
    statement = reading.statement(call.node)
    if isinstance(statement, cst.Assign) and statement.value is call.node and call.arguments:
        return _unpacked(statement, call, reading)
    if clipped is None or unclipped is None or not isinstance(statement, cst.Assign):
        return None
    if len(statement.targets) != 1 or statement.value is not clipped.node:
        return None
    return reading.code(statement) if reading.text(statement.targets[0].target) == unclipped.text else None


def _unpacked(statement: cst.Assign, call: Call, reading: FileReading) -> Code | None:
    """The statement `grads, _ = tf.clip_by_global_norm(grads, c)`, whose norm nobody reads."""
    target = statement.targets[0].target
    if len(statement.targets) != 1 or not isinstance(target, cst.Tuple) or len(target.elements) != 2:
        return None
    same, norm = (element.value for element in target.elements)
    if reading.text(same) != call.arguments[0].code.text or not isinstance(norm, cst.Name):
        return None
    uses = [name for name in reading.tree.all(cst.Name) if name.value == norm.value and name is not norm]
    return reading.code(statement) if norm.value == "_" or not uses else None


def _training_of(model: Code, reading: FileReading) -> Training | None:
    """The one optimizer that trains a model: the same object, or at least the same words."""
    origins = set(reading.origins.of(model.node))
    same = [t for t in reading.networks.trainings if origins & set(reading.origins.of(t.model.node))]
    if not same:
        same = [t for t in reading.networks.trainings if t.model.text == model.text]
    return same[0] if len(same) == 1 else None


def _step(place: Code, model: Code, training: Training | None, reading: FileReading) -> tuple[Call | None, bool]:
    """The update that follows the clip in its block; else the one before it."""
    statement = place.node
    block = reading.parent(statement)
    if not isinstance(block, _BLOCKS):
        return None, False
    index = next(i for i, other in enumerate(block.body) if other is statement)
    for following in block.body[index + 1 :]:
        step = _step_in(following, model, training, reading)
        if step is not None:
            return step, False
        if any(isinstance(n, cst.Attribute) and n.attr.value == "backward" for n in reading.tree.below(following)):
            break
    for before in reversed(block.body[:index]):
        step = _step_in(before, model, training, reading)
        if step is not None:
            return step, True
    return None, False


def _outermost(call: Call, reading: FileReading) -> cst.CSTNode:
    """The statement of the clip, or the loop over parameters that holds nothing else."""
    node = _line(call.node, reading)
    block = reading.parent(node)
    loop = reading.parent(block) if block is not None else None
    if isinstance(loop, cst.For) and isinstance(block, cst.IndentedBlock) and len(block.body) == 1:
        value = reading.value(loop.iter)
        if isinstance(value, Many):
            return loop
    return node


def _line(node: cst.CSTNode, reading: FileReading) -> cst.CSTNode:
    """The element of a block that a node stands in."""
    above = reading.parent(node)
    while above is not None and not isinstance(above, (*_BLOCKS, cst.SimpleStatementSuite)):
        node, above = above, reading.parent(above)
    return node


def _step_in(line: cst.CSTNode, model: Code, training: Training | None, reading: FileReading) -> Call | None:
    """`optimizer.step()`, also `scaler.step(optimizer)`, as a statement of its own."""
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
        return None
    expression = line.body[0].value if isinstance(line.body[0], cst.Expr) else None
    if not isinstance(expression, cst.Call) or not isinstance(expression.func, cst.Attribute):
        return None
    if expression.func.attr.value != "step":
        return None
    candidates = [expression.func.value, *(arg.value for arg in expression.args)]
    stepped = {origin for candidate in candidates for origin in reading.origins.of(candidate)}
    if training is not None and training.optimizer is not None:
        known = training.optimizer.node in stepped
    else:
        trained = [t.model for t in reading.networks.trainings if t.optimizer and t.optimizer.node in stepped]
        known = all(other.text == model.text for other in trained)
    return Call(expression, reading) if known else None
