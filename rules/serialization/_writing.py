"""What the rules of this family write: keyword arguments that go up to the base, and quoted keys."""

from __future__ import annotations

from collections.abc import Iterable

from clipcheck.edit import AddArgument, AddParameter, Edit
from clipcheck.model.classes import Init, InitParameter


def take_kwargs(init: Init) -> tuple[Edit, ...]:
    """Let `__init__` take `**kwargs` and hand them to the base; for an `init` that `may_hand_up_kwargs`."""
    assert init.super_call is not None
    return AddParameter(init.node, "**kwargs"), AddArgument(init.super_call.node, "**kwargs")


def entries(parameters: Iterable[InitParameter], quote: str = '"') -> list[str] | None:
    """The entries of a config dict that give parameters back; None if one of them is not kept."""
    values = [(parameter.name, parameter.config_value) for parameter in parameters]
    if any(value is None for _, value in values):
        return None
    return [f"{quote}{name}{quote}: {value}" for name, value in values]


def listed(names: Iterable[str]) -> str:
    """`a`, `b` and `c`; of many the first three."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) > 5:
        quoted = [*quoted[:3], f"{len(quoted) - 3} others"]
    return " and ".join(filter(None, [", ".join(quoted[:-1]), *quoted[-1:]]))
