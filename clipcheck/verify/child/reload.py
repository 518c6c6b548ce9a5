"""Loads the models that a script has saved, in a process of their own, and trains them on.

`python .../child/reload.py FOLDER`, the folder of a job. Of the script only the definitions are run: imports, classes,
functions, constants, and what registers them; so the objects of the models are known as they are to anybody who imports
the script's classes. Writes a record with what was seen.
"""

from __future__ import annotations

import ast
import contextlib
import math
import sys
import textwrap
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import CodeType
from typing import Any

from msgspec import Struct

OWN_CLAIM = 0
"""The number of the claim in the record: it is about nothing else."""
UPDATES = 3
RATE = 1e3
"""The learning rate: an update that is out of any bounds."""
SAID = 300
"""Characters of an error that are told."""
_HANDING_OVER = {"load_model": 1, "custom_object_scope": 0, "CustomObjectScope": 0}
"""By what objects are handed over with their names, and as which argument."""
_REGISTERS = ("register_keras_serializable", "get_custom_objects")


def main() -> None:
    own = Path(__file__).resolve().parent
    package_root = str(own.parents[2])
    sys.path[:] = [package_root, *(path for path in sys.path if path != str(own))]
    from clipcheck.verify.child import reload

    sys.path.remove(package_root)
    reload.run(Path(sys.argv[1]).absolute())


def run(folder: Path) -> None:
    from clipcheck.verify.child.keras_saving import kept_models
    from clipcheck.verify.folder import JOB, RELOADED
    from clipcheck.verify.record import Ended, Record
    from clipcheck.verify.wire import dumps, job_from

    job = job_from((folder / JOB).read_text(encoding="utf-8"))
    script = Path(job.script)
    code = job.code if job.code is not None else script.read_bytes()
    define(code, script)
    objects = custom_objects(code)
    seen = tuple(found for kept in kept_models(folder) for found in _seen(kept, folder, objects))
    record = Record(Ended.FINISHED, seen=seen, bound=(OWN_CLAIM,))
    (folder / RELOADED).write_text(dumps(record), encoding="utf-8")


# The definitions of a script.


def define(code: str | bytes, script: Path) -> None:
    """Run the definitions of a script in `__main__`. What fails is not defined, as if it had been left out."""
    main = sys.modules["__main__"].__dict__
    main["__file__"] = str(script)
    sys.argv = [str(script)]
    sys.path[0:0] = [str(script.parent.absolute())]
    for statement in definitions(ast.parse(code).body):
        with contextlib.suppress(Exception, SystemExit):
            exec(_compiled(statement, script), main)


def custom_objects(code: str | bytes) -> dict[str, Any]:
    """What a script hands over by name when it loads a model, as far as it is made of what it has defined."""
    found: dict[str, Any] = {}
    for call in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)):
        place = _HANDING_OVER.get(_called(call))
        if place is None:
            continue
        named = [keyword.value for keyword in call.keywords if keyword.arg in ("custom_objects", "objects")]
        for objects in (*call.args[place : place + 1], *named):
            if _is_plain(objects):
                with contextlib.suppress(Exception):  # It is not defined where only definitions were run.
                    found.update(eval(ast.unparse(objects), sys.modules["__main__"].__dict__))
    return found


def _called(call: ast.Call) -> str:
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def _compiled(statement: ast.stmt, script: Path) -> CodeType:
    return compile(ast.Module([statement], []), str(script), "exec", dont_inherit=True)


def definitions(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that define something and train nothing."""
    for statement in body:
        if isinstance(statement, (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield statement
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            if _is_plain(statement.value) or _registers(statement):
                yield statement
        elif isinstance(statement, ast.Expr) and _registers(statement):
            yield statement
        elif isinstance(statement, ast.Try):
            handlers = (handler.body for handler in statement.handlers)
            if all(isinstance(part, (ast.Import, ast.ImportFrom)) for part in statement.body):
                yield statement
            else:
                yield from definitions([*statement.body, *(part for body in handlers for part in body)])
        elif isinstance(statement, ast.If) and not _is_main(statement.test):
            yield from definitions([*statement.body, *statement.orelse])


def _is_main(test: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(test))


def _is_plain(value: ast.expr | None) -> bool:
    """Whether an expression calls nothing."""
    return value is not None and not any(
        isinstance(node, (ast.Call, ast.Await, ast.Yield, ast.YieldFrom, ast.ListComp, ast.NamedExpr))
        for node in ast.walk(value)
        if not isinstance(value, ast.Lambda)
    )


def _registers(statement: ast.stmt) -> bool:
    names = (getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(statement))
    return any(name in _REGISTERS for name in names)


# The models.


def _seen(kept: Any, folder: Path, objects: dict[str, Any]) -> Iterator[Any]:
    from clipcheck.verify.child.keras_saving import SAVED
    from clipcheck.verify.record import Seen

    try:
        keras = import_module(kept.framework)
        model = _load(keras, str(folder / SAVED / kept.file), objects)
        variables = list(model.weights)
        yield from [_kept(kept, weight, keras, variables[weight.index]) for weight in kept.weights if weight.probed]
        _train(keras, model)
        yield from [_kept(kept, weight, keras, variables[weight.index]) for weight in kept.weights if not weight.probed]
    except Exception as error:
        yield Seen(OWN_CLAIM, kept.name, (), "", "", looks=1, error=_said(error))


def _load(keras: Any, path: str, objects: dict[str, Any]) -> Any:
    try:
        return keras.models.load_model(path, custom_objects=objects)
    except Exception as error:
        with contextlib.suppress(Exception):  # Its loss or its metrics, then: the model itself can be had.
            return keras.models.load_model(path, custom_objects=objects, compile=False)
        raise error


def _said(error: Exception) -> str:
    """The innermost message of Keras, which tells the configuration of everything around it first."""
    said = " ".join(str(error).split()).rpartition("Exception encountered: ")[2]
    return f"{type(error).__name__}: {textwrap.shorten(said, SAID, placeholder=' …')}"


def _train(keras: Any, model: Any) -> None:
    """A few updates by random gradients, with the optimizer that came with the model."""
    import numpy as np

    model.trainable = True
    variables = list(model.trainable_variables)
    random = np.random.default_rng(0)
    optimizer = getattr(model, "optimizer", None)
    optimizer = keras.optimizers.SGD() if optimizer is None else type(optimizer).from_config(optimizer.get_config())
    with contextlib.suppress(TypeError):  # A schedule.
        optimizer.learning_rate = RATE
    for _ in range(UPDATES):
        gradients = [_like(keras, variable, random.standard_normal(tuple(variable.shape))) for variable in variables]
        optimizer.apply_gradients(list(zip(gradients, variables, strict=True)))


def _like(keras: Any, variable: Any, numbers: Any) -> Any:
    if hasattr(keras, "ops"):
        return keras.ops.convert_to_tensor(numbers, variable.dtype)
    import tensorflow as tf

    return tf.constant(numbers, variable.dtype)


def _kept(kept: Any, weight: Any, keras: Any, variable: Any) -> Any:
    """Whether a weight has kept its bounds."""
    from clipcheck.verify.child.keras_looks import dtype_of
    from clipcheck.verify.child.keras_saving import device_of
    from clipcheck.verify.record import Seen

    found = _probed(weight.probed, keras, variable) if weight.probed is not None else _bounded(weight, variable)
    return Seen(
        OWN_CLAIM,
        f"{kept.name}: {weight.path}",
        tuple(variable.shape),
        dtype_of(variable),
        device_of(variable),
        low=found.low,
        high=found.high,
        updates=UPDATES,
        looks=1,
        lowest=found.lowest,
        highest=found.highest,
        extreme_update=UPDATES,
        violated_update=UPDATES if found.is_out else None,
        violated_value=found.farther if found.is_out else None,
        last_is_out=found.is_out,
    )


class _Found(Struct, frozen=True):
    """low, high: the bounds, None on a side that is open."""

    low: float | None
    high: float | None
    lowest: float
    highest: float
    is_out: bool

    @property
    def farther(self) -> float:
        """The extreme that is farther out."""
        below = -math.inf if self.low is None else self.low - self.lowest
        above = -math.inf if self.high is None else self.highest - self.high
        return self.lowest if below > above else self.highest


def _probed(extremes: tuple[float, float], keras: Any, variable: Any) -> _Found:
    """Whether a constraint still makes the same of the numbers that it was given when its model was saved."""
    from clipcheck.verify.child.keras_saving import probe

    constraint = getattr(variable, "constraint", None) or (lambda numbers: numbers)
    now = probe(keras, constraint, variable, 0)
    slack = 1e-4 * max(map(abs, extremes))
    is_out = any(abs(one - other) > slack for one, other in zip(now, extremes, strict=True))
    low, high = extremes if is_out else (None, None)  # A norm: these are no bounds.
    return _Found(low, high, *now, is_out)


def _bounded(weight: Any, variable: Any) -> _Found:
    from clipcheck.verify.child.keras_judge import rounded
    from clipcheck.verify.child.keras_looks import dtype_of
    from clipcheck.verify.child.keras_saving import as_numbers

    bounds, numbers = rounded(weight.low, weight.high, dtype_of(variable)), as_numbers(variable)
    lowest, highest = float(numbers.min()), float(numbers.max())
    low, high = (None if math.isinf(bound) else bound for bound in (bounds.low, bounds.high))
    return _Found(low, high, lowest, highest, not (lowest >= bounds.low and highest <= bounds.high))


if __name__ == "__main__":
    main()
