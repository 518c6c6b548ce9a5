"""The objects that a training step is about: which expressions are optimizers, scalers and models, and their keys."""

from __future__ import annotations

import re

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.steps.keys import Env, Keys
from clipcheck.frameworks import OPTIMIZERS
from clipcheck.model.code import Call, Code
from clipcheck.model.value import Instance, Many, Tensor

_OPTIMIZER = re.compile(
    r"(^|[._])(opt|optim|optimi[sz]er|solver|trainer)s?[A-Za-z]?\d*($|[_\[])|[Oo]ptimi[sz]er|_opt$|^opt[A-Z_]"
)
_NO_OPTIMIZER = re.compile(r"sched|warmup|lr_|env|prof|logger|tracker|pbar|progress|ema|swa", re.IGNORECASE)
_SCALER = re.compile(r"scaler", re.IGNORECASE)
_SCALER_CLASS = "GradScaler"
"""How the names of all their classes end: torch's for each device, FSDP's sharded one, XLA's."""


class Objects:
    def __init__(self, reading: FileReading) -> None:
        self.reading = reading
        self.keys = Keys(reading)

    def key(self, code: Code, env: Env) -> str | None:
        return self.keys.of(code.node, env) if isinstance(code.node, cst.BaseExpression) else None

    def first(self, call: Call, env: Env) -> str | None:
        """The key of the first argument."""
        return self.key(call.arguments[0].code, env) if call.arguments else None

    def is_optimizer(self, code: Code, key: str | None) -> bool:
        """Whether something is an optimizer: by the call that made it, else by its name."""
        value = code.value
        if isinstance(value, Instance):
            if value.of in OPTIMIZERS or self.reading.classes.kind_of(value) == "optimizer":
                return True
            if "sched" in value.of.lower():
                return False
        last = (key or code.text).rpartition(".")[2]
        return bool(_OPTIMIZER.search(last)) and not _NO_OPTIMIZER.search(last)

    def is_scaler(self, code: Code, key: str | None) -> bool:
        value = code.value
        if isinstance(value, Instance):
            return value.of.endswith(_SCALER_CLASS)
        return bool(_SCALER.search((key or code.text).rpartition(".")[2]))

    def owners(self, code: Code, env: Env) -> frozenset[str]:
        """The models that the parameters in an expression belong to; none if some may belong to others."""
        models, is_complete = self.reading.networks.whose_parameters(code.node)
        if not is_complete:
            value = code.value
            known = isinstance(value, Many) and isinstance(value.element, Tensor) and value.element.owner is not None
            models = [value.element.owner] if known else []  # type: ignore[union-attr, list-item]
        keys = [self.key(model, env) for model in models]
        return frozenset(key for key in keys if key is not None) if None not in keys else frozenset()


def one(key: str | None) -> frozenset[str]:
    return frozenset() if key is None else frozenset({key})
