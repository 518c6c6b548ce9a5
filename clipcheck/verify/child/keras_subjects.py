"""What a claim is about: which variables of a Keras model, by which names, within which bounds."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence, Set
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Any

from msgspec import Struct, field

from clipcheck.verify.child.keras_judge import Bounds, rounded
from clipcheck.verify.child.keras_looks import Backend, dtype_of, is_watchable
from clipcheck.verify.child.session import Limits
from clipcheck.verify.claim import Claim, Constrained

_UNNAMED = re.compile(r"variable(_\d+)?", re.IGNORECASE)
_MODEL = re.compile(r"^(sequential|functional|model)(_\d+)?\.")
"""How a path begins with the name of a model that nobody has named."""


class Weight(Struct, frozen=True):
    """A variable as a claim speaks of it."""

    variable: Any
    name: str
    bounds: Bounds


class Binding(Struct):
    """A claim, with what its notes gave it.

    limits: as the last note had them. parts: models, layers, optimizers and variables, by identity.
    """

    number: int
    claim: Claim
    limits: Limits
    parts: dict[int, Any] = field(default_factory=dict)

    @property
    def is_bound_by_class(self) -> bool:
        """Every variable with a constraint of the class is meant, whatever model it is in."""
        return self.claim.constrained is not None and not self.claim.notes


class Subjects:
    """The objects of one Keras."""

    def __init__(self, keras: ModuleType, backend: Backend) -> None:
        self._backend = backend
        self._layer: Any = keras.layers.Layer
        self._variable: type | None = getattr(keras, "Variable", None)
        self.optimizers: tuple[Any, ...] = tuple(_optimizers(keras))

    def parts(self, subject: object) -> Iterator[Any]:
        """The models, layers, optimizers and variables that a note's subject is, or is a collection of."""
        if isinstance(subject, (self._layer, *self.optimizers)) or self._is_variable(subject):
            yield subject
        elif isinstance(subject, dict):
            yield from self.parts(list(subject.values()))
        elif isinstance(subject, (list, tuple)):
            for each in subject:
                yield from self.parts(each)

    def _is_variable(self, subject: object) -> bool:
        is_own = self._variable is not None and isinstance(subject, self._variable)
        return is_own or self._backend.is_variable(subject)

    def weights(self, binding: Binding, variables: Sequence[Any], optimizer: Any) -> dict[int, Weight]:
        """Those of some variables that a claim means, by their index. optimizer: which updates them."""
        if binding.is_bound_by_class:
            pairs = [(variable, None) for variable in variables]
        else:
            pairs = list(self._owned(binding, variables, optimizer))
        found: dict[int, Weight] = {}
        for variable, owner in pairs:
            weight = self._weight(binding, variable, owner)
            if weight is not None:
                index = next(index for index, other in enumerate(variables) if other is variable)
                found.setdefault(index, weight)
        return found

    def _owned(self, binding: Binding, variables: Sequence[Any], optimizer: Any) -> Iterator[tuple[Any, Any]]:
        """Each of the variables that belongs to a part, with the part."""
        by_identity = {self._backend.identity(variable): variable for variable in variables}
        for part in binding.parts.values():
            if isinstance(part, self.optimizers):
                own = list(variables) if _is_or_has(part, optimizer) else []
            else:
                own = _weights_of(part) if isinstance(part, self._layer) else [part]
            for variable in own:
                known = by_identity.get(self._backend.identity(variable))
                if known is not None:
                    yield known, part

    def untrained(self, binding: Binding, trained: Set[int]) -> list[Weight]:
        """Variables that no optimizer updates and that the claim's globs name: moving statistics.

        trained: the identities of the others.
        """
        found: dict[int, Weight] = {}
        globs, spoken = binding.claim.parameters, binding.claim.subject
        layers = [part for part in binding.parts.values() if globs and isinstance(part, self._layer)]
        for layer, variable in ((each, variable) for each in layers for variable in _weights_of(each)):
            identity, name = self._backend.identity(variable), _name_in(layer, variable, spoken)
            if identity not in trained and is_watchable(variable) and _names_untrained(globs, name, spoken):
                found[identity] = Weight(variable, name, _bounds(binding.limits, variable))
        return list(found.values())

    def _weight(self, binding: Binding, variable: Any, owner: Any) -> Weight | None:
        claim = binding.claim
        limits = binding.limits
        if claim.constrained is not None:
            constraint = _constraint_of(variable, claim.constrained.constraint)
            if constraint is None:
                return None
            limits = limits_by(constraint, claim.constrained, limits)
        name = self._name(owner, variable, claim.subject)
        if claim.parameters and not _matches(claim.parameters, name, claim.subject):
            return None
        return Weight(variable, name, _bounds(limits, variable))

    def _name(self, owner: Any, variable: Any, spoken: str) -> str:
        """The name of a variable behind that of its model: what the claim calls it, or the script."""
        if owner is not None and not self._is_variable(owner):
            return _name_in(owner, variable, spoken)
        if owner is not None and (_UNNAMED.fullmatch(path_of(variable)) or _is_called(variable, spoken)):
            return spoken
        name, model = self._model_of(variable, spoken)
        return _name_in(model, variable, name)

    def _model_of(self, variable: Any, spoken: str) -> tuple[str, Any]:
        """The script's global model that has a variable, and its name: the one that is spoken of, else the smallest.
        None if there is none."""
        identity = self._backend.identity(variable)
        every = [(name, each, _weights_of(each)) for name, each in _globals() if issubclass(type(each), self._layer)]
        homes = [home for home in every if any(self._backend.identity(own) == identity for own in home[2])]
        name, model, _ = min(homes, key=lambda home: (home[0] != spoken, len(home[2])), default=(spoken, None, ()))
        return name, model


def _globals() -> list[tuple[str, Any]]:
    return list(vars(sys.modules["__main__"]).items())


def _optimizers(keras: ModuleType) -> Iterator[type]:
    yield keras.optimizers.Optimizer
    legacy = getattr(getattr(keras.optimizers, "legacy", None), "Optimizer", None)
    if isinstance(legacy, type) and not hasattr(keras, "Variable"):
        yield legacy


def _weights_of(layer: Any) -> list[Any]:
    """All that there are so far: a model of tf_keras that is not built has none, and says so by an error."""
    try:
        return list(layer.weights)
    except ValueError:
        return []


def _is_or_has(part: Any, optimizer: Any) -> bool:
    inner = (part, getattr(part, "inner_optimizer", None), *(getattr(part, "optimizers", None) or ()))
    return any(each is optimizer for each in inner)


def _bounds(limits: Limits, variable: Any) -> Bounds:
    return rounded(limits.low, limits.high, dtype_of(variable))


def _constraint_of(variable: Any, name: str) -> Any:
    """The constraint of a variable, if it is of a class of that name; else None."""
    constraint = getattr(variable, "constraint", None)
    is_of_it = constraint is not None and any(kind.__name__ == name for kind in type(constraint).__mro__)
    return constraint if is_of_it else None


def limits_by(bearer: Any, constrained: Constrained, otherwise: Limits) -> Limits:
    """The bounds that an object states, which is `self` in their expressions."""

    def number(expression: str | None, other: float | None) -> float | None:
        if expression is None:
            return other
        try:
            return float(eval(expression, {"__builtins__": {}}, {"self": bearer}))
        except Exception:  # The attribute is not there, or no number.
            return other

    return Limits(number(constrained.low, otherwise.low), number(constrained.high, otherwise.high), otherwise.norm)


def path_of(variable: Any) -> str:
    """A variable's own name, as "dense.kernel"."""
    return str(getattr(variable, "path", None) or variable.name).partition(":")[0].replace("/", ".")


def own_path(variable: Any) -> str:
    """The same without the name of a model that nobody has named."""
    return _MODEL.sub("", path_of(variable), count=1)


def _name_in(owner: Any, variable: Any, spoken: str) -> str:
    """The name of a variable behind what its model is called. owner: the model, if it is known."""
    own = getattr(owner, "name", None)
    inside = path_of(variable).removeprefix(f"{own}.") if own else own_path(variable)
    inside = inside.removeprefix(f"{spoken}.")
    return f"{spoken}.{inside}" if " " not in spoken else inside


def _is_called(variable: Any, spoken: str) -> bool:
    return _last(path_of(variable)) == _last(spoken)


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _matches(globs: Iterable[str], name: str, spoken: str) -> bool:
    return any(fnmatchcase(each, glob) for glob in globs for each in (name, name.removeprefix(f"{spoken}.")))


def _names_untrained(globs: Iterable[str], name: str, spoken: str) -> bool:
    """Whether globs name what is not trained by its own name, not only by its model's."""
    return _matches((glob for glob in globs if re.search(r"[A-Za-z]", _last(glob))), name, spoken)
