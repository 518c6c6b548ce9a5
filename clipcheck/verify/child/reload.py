"""Loads the models that a script has saved, in a process of their own, and trains them on.

`python .../child/reload.py FOLDER`, the folder of a job. Of the script only the definitions are run: imports, classes,
functions, constants, and what registers them; so the objects of the models are known as they are to anybody who imports
the script's classes. Writes a record with what was seen.
"""

from __future__ import annotations

import ast
import contextlib
import sys
import textwrap
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import CodeType
from typing import Any

OWN_CLAIM = 0
"""The number of the claim in the record: it is about nothing else."""
UPDATES = 3
RATE = 1e3
"""The learning rate: an update that is out of any bounds."""
SAID = 300
"""Characters of an error that are told."""
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
    define(job.code if job.code is not None else script.read_bytes(), script)
    seen = tuple(found for kept in kept_models(folder) for found in _seen(kept, folder))
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


def _seen(kept: Any, folder: Path) -> Iterator[Any]:
    from clipcheck.verify.child.keras_saving import SAVED
    from clipcheck.verify.record import Seen

    try:
        keras = import_module(kept.framework)
        model = _load(keras, str(folder / SAVED / kept.file))
        variables = list(model.weights)
        yield from [_kept(kept, weight, keras, variables[weight.index]) for weight in kept.weights if weight.probed]
        _train(keras, model)
        yield from [_kept(kept, weight, keras, variables[weight.index]) for weight in kept.weights if not weight.probed]
    except Exception as error:
        yield Seen(OWN_CLAIM, kept.name, (), "", "", looks=1, error=_said(error))


def _load(keras: Any, path: str) -> Any:
    try:
        return keras.models.load_model(path)
    except Exception as error:
        with contextlib.suppress(Exception):  # Its loss or its metrics, then: the model itself can be had.
            return keras.models.load_model(path, compile=False)
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
    import numpy as np

    from clipcheck.verify.child.keras_judge import rounded
    from clipcheck.verify.child.keras_saving import as_numbers, device_of, probe
    from clipcheck.verify.record import Seen

    dtype = str(getattr(variable.dtype, "name", variable.dtype))
    if weight.probed is not None:
        low, high = weight.probed
        slack = 1e-4 * max(abs(low), abs(high))
        constraint = getattr(variable, "constraint", None)
        lowest, highest = probe(keras, constraint or (lambda numbers: numbers), variable, 0)
        is_out = abs(lowest - low) > slack or abs(highest - high) > slack
        if not is_out:
            low, high = -np.inf, np.inf  # A norm: these are no bounds.
    else:
        bounds = rounded(weight.low, weight.high, dtype)
        low, high = bounds.low, bounds.high
        numbers = as_numbers(variable)
        lowest, highest = float(numbers.min()), float(numbers.max())
        is_out = not (lowest >= low and highest <= high)
    return Seen(
        OWN_CLAIM,
        f"{kept.name}: {weight.path}",
        tuple(variable.shape),
        dtype,
        device_of(variable),
        low=low if np.isfinite(low) else None,
        high=high if np.isfinite(high) else None,
        updates=UPDATES,
        looks=1,
        lowest=lowest,
        highest=highest,
        extreme_update=UPDATES,
        violated_update=UPDATES if is_out else None,
        violated_value=(lowest if low - lowest > highest - high else highest) if is_out else None,
        last_is_out=is_out,
    )


if __name__ == "__main__":
    main()
