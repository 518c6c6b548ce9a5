"""Custom Keras classes: what `__init__` keeps, and what `get_config` returns."""

from __future__ import annotations

import textwrap

import pytest

from clipcheck.model.classes import CustomClass
from tests.analysis.reading import script_of

CONSTRAINT = """
import keras
from keras import constraints

class Base(constraints.Constraint):
    def __init__(self, low):
        self.low = low

    def get_config(self):
        return {"low": self.low}

class Clip(Base):
    def __init__(self, low, high=1.0):
        super().__init__(low)
        self.high = high

    def get_config(self):
"""


def clip(body: str) -> CustomClass:
    return script_of(CONSTRAINT + textwrap.indent(textwrap.dedent(body), " " * 8)).all(CustomClass)[-1]


COMPLETE = [
    ("return {'low': self.low, 'high': self.high}", {"low", "high"}),
    ("return {**super().get_config(), 'high': self.high}", {"low", "high"}),
    ("return super().get_config() | {'high': self.high}", {"low", "high"}),
    ("return dict(super().get_config(), high=self.high)", {"low", "high"}),
    ("return dict(list(super().get_config().items()) + list({'high': self.high}.items()))", {"low", "high"}),
    ("base = super(Clip, self).get_config()\nreturn dict(**base, high=self.high)", {"low", "high"}),
    ("config = super().get_config()\nconfig.update({'high': self.high})\nreturn config", {"low", "high"}),
    ("config = super().get_config().copy()\nconfig.update(high=self.high)\nreturn config", {"low", "high"}),
    ("config = super().get_config()\nconfig['high'] = self.high\nreturn config", {"low", "high"}),
    ("config = super().get_config()\nconfig.pop('low')\nreturn config", set()),
    ("config = {}\nif self.high:\n    config['high'] = self.high\nreturn config", {"high"}),
]


@pytest.mark.parametrize(("body", "keys"), COMPLETE)
def test_the_keys_of_a_config(body: str, keys: set[str]) -> None:
    config = clip(body).config
    assert config is not None
    assert config.is_complete
    assert {key.name for key in config.keys} == keys


INCOMPLETE = [
    "return {name: getattr(self, name) for name in ('low', 'high')}",
    "config = super().get_config()\nadd_bounds(config)\nreturn config",
    "config = {}\nconfig.update(self.bounds())\nreturn config",
    "if self.high:\n    return {'high': 1.0}\nreturn {}",
    "return {'low': self.low, self.key: self.high}",
    "return vars(self)",
]


@pytest.mark.parametrize("body", INCOMPLETE)
def test_a_config_that_may_hold_more(body: str) -> None:
    config = clip(body).config
    assert config is not None
    assert not config.is_complete


def test_a_key_under_a_condition_is_not_sure() -> None:
    config = clip("config = {'low': 1}\nif self.high:\n    config['high'] = self.high\nreturn config").config
    assert config is not None
    assert [(key.name, key.sure) for key in config.keys] == [("low", True), ("high", False)]


KEPT = [
    ("self.c = c", "c", None),
    ("self._c = c", "_c", None),
    ("self.c = float(c)", "c", None),
    ("self.c = c or 1.0", "c", None),
    ("self.c = c if c is not None else 1.0", "c", None),
    ("self.c = constraints.get(c)", "c", "constraints"),
    ("self.c = 2 * c", None, None),
    ("self.c = keras.ops.convert_to_tensor(c)", None, None),
    ("self.c = c\n        self.c = None", None, None),
]


@pytest.mark.parametrize(("statement", "attribute", "getter"), KEPT)
def test_how_a_parameter_is_kept(statement: str, attribute: str | None, getter: str | None) -> None:
    script = script_of(
        "import keras\nfrom keras import constraints\n"
        f"class Clip(constraints.Constraint):\n    def __init__(self, c):\n        {statement}\n"
    )
    parameter = script.all(CustomClass)[0].parameters[0]
    assert (parameter.attribute, parameter.getter) == (attribute, getter)


def test_classes_with_bases_from_elsewhere_are_not_read() -> None:
    source = """
        import keras
        from elsewhere import Mixin
        class Clip(Mixin, keras.constraints.Constraint):
            def __init__(self, c):
                self.c = c
    """
    assert script_of(source).all(CustomClass) == ()
