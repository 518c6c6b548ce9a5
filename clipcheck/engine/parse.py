"""From a document to its concrete syntax tree."""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING

from clipcheck.engine.deep import with_deep_stack
from clipcheck.source.document import Document
from clipcheck.source.errors import SourceError

if TYPE_CHECKING:
    import libcst as cst

_TOO_DEEP = "too deeply nested to be read"


def check_syntax(document: Document) -> None:
    """Raises SourceError where the code is no Python, or nested too deeply to be read."""
    try:
        _parse_by_cpython(document.code)
    except (RecursionError, MemoryError):
        with_deep_stack(lambda: parse(document))
    except SyntaxError as error:
        raise _syntax_error(document, f"SyntaxError: {error.msg}", error.lineno, error.offset) from None
    except ValueError as error:
        raise SourceError(str(error)) from None


def parse(document: Document) -> cst.Module:
    """The concrete syntax tree. Raises SourceError where the code is no Python, or nested too deeply to be read.

    CPython goes first: its message is the one that people know, and what it refuses for its nesting would make
    LibCST's native parser crash the process.
    """
    import libcst as cst

    try:
        _parse_by_cpython(document.code)
        return cst.parse_module(document.code)
    except SyntaxError as error:
        raise _syntax_error(document, f"SyntaxError: {error.msg}", error.lineno, error.offset) from None
    except cst.ParserSyntaxError as error:
        raise _syntax_error(
            document, f"not understood: {error.message}", error.raw_line, error.raw_column + 1
        ) from None
    except (RecursionError, MemoryError):
        raise SourceError(_TOO_DEEP) from None
    except ValueError as error:
        raise SourceError(str(error)) from None


def _parse_by_cpython(code: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of invalid escapes and the like: the user's, and not asked for
        compile(code, "<unknown>", "exec", ast.PyCF_ONLY_AST)


def _syntax_error(document: Document, message: str, line: int | None, column: int | None) -> SourceError:
    if not line:
        return SourceError(message)
    return SourceError(message, document.position(line, max((column or 1) - 1, 0)))
