"""Uses of single functions of the frameworks, called or handed on, and the imports that bring them."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.code import Call, Code


class ApiUse(Struct, frozen=True):
    """A name or an attribute that stands for a function of `clipcheck.frameworks.WATCHED`.

    api: its canonical name. origins: the dotted names that the imports give it.
    call: the call, where it is called, or the `functools.partial` that holds its arguments.
    is_version_dependent: a version, a `hasattr` or a caught error decides whether it runs.
    """

    api: str
    origins: frozenset[str]
    code: Code
    call: Call | None
    is_version_dependent: bool


class ApiImport(Struct, frozen=True):
    """A `from module import name` of such a function.

    module: the module as written. original: the imported name, as it is called there. bound: the name that the file
    uses for it. others: the other imported items as written (`log as ln`). uses: where the file uses it.
    is_version_dependent: a version or a caught error decides whether it runs.
    """

    api: str
    module: str
    original: Code
    bound: str
    statement: Code
    others: tuple[str, ...]
    uses: tuple[ApiUse, ...]
    is_version_dependent: bool
