"""From a document to its concrete syntax tree."""

from __future__ import annotations

import ast
import warnings

import libcst as cst

from clipcheck.source.document import Document
from clipcheck.source.errors import SourceError

_TOO_DEEP = "too deeply nested to be read"


def parse(document: Document) -> cst.Module:
    """The concrete syntax tree. Raises SourceError where the code is no Python, or nested too deeply to be read.

    CPython goes first: its message is the one that people know, and what it refuses for its nesting would make
    LibCST's native parser crash the process.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes and the like: the user's, and not asked for
            ast.parse(document.code)
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


def _syntax_error(document: Document, message: str, line: int | None, column: int | None) -> SourceError:
    if not line:
        return SourceError(message)
    return SourceError(message, document.position(line, max((column or 1) - 1, 0)))
