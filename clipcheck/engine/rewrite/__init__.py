"""Edits on nodes become changes of the text, so that everything else in the file stays byte for byte."""

from clipcheck.engine.rewrite.patch import Patch, combine, resolve
from clipcheck.engine.rewrite.source import CannotRewriteError, Source

__all__ = ["CannotRewriteError", "Patch", "Source", "combine", "resolve"]
