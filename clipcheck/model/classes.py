"""Custom Keras objects: what their `__init__` takes, and what their `get_config` gives back when a model is saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from clipcheck.model.code import Call, Code

if TYPE_CHECKING:
    import libcst as cst


class InitParameter(Struct, frozen=True):
    """A parameter of `__init__`.

    attribute: the attribute of `self` that keeps what is given, where it is kept as it is or as a plain number.
    getter: what it is kept through, as written: "constraints" for `self.constraint = constraints.get(constraint)`.
    handed_up: it is (also) handed to the `__init__` of a base class. is_object: `__init__` calls it or asks it for
    attributes, so that it is no plain value. is_used: `__init__` does something with it.
    """

    name: str
    code: Code
    required: bool
    attribute: str | None = None
    getter: str | None = None
    handed_up: bool = False
    is_object: bool = False
    is_used: bool = True

    @property
    def is_constraint(self) -> bool:
        return self.name == "constraint" or self.name.endswith("_constraint")

    @property
    def config_value(self) -> str | None:
        """The expression that gives back in `get_config` what `__init__` was given."""
        if self.attribute is None:
            return None
        kept = f"self.{self.attribute}"
        return f"{self.getter}.serialize({kept})" if self.getter else kept


class Init(Struct, frozen=True):
    """The `__init__` that makes a class's objects. `parameters` are those by name, without `self`.

    code: its name, where it is defined.
    takes_kwargs, takes_args: it takes `**kwargs`, `*args`. kwargs_go_up: all that it does with its `**kwargs` is to
    hand them to the base's `__init__`. super_call: the one call of the base's `__init__` as `super().__init__(…)`.
    own: it stands in the class itself, not in a base.
    """

    node: cst.FunctionDef
    code: Code
    parameters: tuple[InitParameter, ...]
    takes_kwargs: bool
    takes_args: bool
    kwargs_go_up: bool
    super_call: Call | None
    own: bool

    @property
    def may_hand_up_kwargs(self) -> bool:
        """Whether `**kwargs` can be added and handed to the base: what is handed there now are parameters by name."""
        if self.takes_kwargs or self.parameter("kwargs") is not None or self.super_call is None or not self.own:
            return False
        return all(
            argument.keyword is not None
            and argument.keyword == argument.code.text
            and self.parameter(argument.keyword) is not None
            for argument in self.super_call.arguments
        )

    def parameter(self, name: str) -> InitParameter | None:
        return next((parameter for parameter in self.parameters if parameter.name == name), None)


class ConfigKey(Struct, frozen=True):
    """A key that `get_config` returns. `sure`: on every path. `own`: it is put in by the class itself, not by a base.

    code: the entry. value: the expression. written: the string that names it, if one does. entry: the element where it
    stands in a dict display. argument, argument_of: the keyword argument of a `dict(…)` or `update(…)`, and that call.
    statement: the `config["c"] = …`.
    """

    name: str
    code: Code
    value: Code
    sure: bool = True
    own: bool = True
    written: Code | None = None
    entry: cst.DictElement | None = None
    argument: cst.Arg | None = None
    argument_of: Call | None = None
    statement: Code | None = None

    @property
    def attribute(self) -> str | None:
        """X, where the value is `self.X`."""
        first, _, last = self.value.text.partition(".")
        return last if first == "self" and last.isidentifier() else None


class Config(Struct, frozen=True):
    """What `get_config` returns.

    code: the method's name, where it is defined.
    keys: those that are seen. is_complete: there are no others, but for the framework's.
    merges_base: the keys of the framework's base class are in it, but for those removed. own: it stands in the class
    itself, not in a base. needed: the parameters beside `self` that a call must give. display, arguments: the dict
    display or the call that the class's own keys stand in, if they stand in one place.
    """

    code: Code
    keys: tuple[ConfigKey, ...]
    is_complete: bool
    merges_base: bool
    own: bool
    removed: frozenset[str] = frozenset()
    needed: tuple[str, ...] = ()
    display: cst.Dict | None = None
    arguments: Call | None = None

    @property
    def quotes_singly(self) -> bool:
        return self.display is not None and self.code.at(self.display).text[1:].lstrip().startswith("'")

    def key(self, name: str) -> ConfigKey | None:
        return next((key for key in self.keys if key.name == name), None)


class CustomClass(Struct, frozen=True):
    """A custom Keras constraint, layer or optimizer of the file.

    code: its name, where it is defined.
    kind: "constraint", "layer" or "optimizer". library: where its base is imported from, "keras", "tensorflow.keras"
    or "tf_keras". init, config: None where the class leaves them to the framework.
    base_keys: the keys of the framework's own config that are always there. base_arguments: what the framework's
    abstract base takes. plain_base: the framework's base is that one (`Layer`, `Constraint`, `Optimizer`).
    attributes: what its objects have. known_attributes: they have no others, except the framework's.
    clips: a value or gradient clip stands in it. rebuilds: it says itself how it is made from a config.
    methods: the methods of the class and its bases in this file. decorated: something decorates the class.
    """

    node: cst.ClassDef
    code: Code
    name: str
    kind: str
    library: str
    init: Init | None
    config: Config | None
    base_keys: frozenset[str]
    base_arguments: frozenset[str]
    plain_base: bool
    attributes: frozenset[str]
    clips: bool
    rebuilds: bool
    decorated: bool
    methods: Mapping[str, Code]
    super_call: str = "super()"

    @property
    def quotes_singly(self) -> bool:
        """Whether its strings are written with single quotes."""
        text = self.code.at(self.node).text.replace('"""', "").replace("'''", "")
        return text.count("'") > text.count('"')

    @property
    def parameters(self) -> tuple[InitParameter, ...]:
        return self.init.parameters if self.init is not None else ()
