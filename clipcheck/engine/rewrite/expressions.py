"""Edits of expressions: put another one in the place of one, in parentheses where it needs them."""

from __future__ import annotations

import ast

import libcst as cst

from clipcheck.engine.rewrite.layout import lay_out
from clipcheck.engine.rewrite.source import CannotRewriteError, Source
from clipcheck.source.text import TextChange

_ATOMS = (
    ast.Attribute,
    ast.Call,
    ast.Constant,
    ast.Dict,
    ast.DictComp,
    ast.GeneratorExp,
    ast.JoinedStr,
    ast.List,
    ast.ListComp,
    ast.Name,
    ast.Set,
    ast.SetComp,
    ast.Subscript,
)
# Where any expression may stand without parentheses, unless it is one of _NEEDY.
_LOOSE = (
    cst.AnnAssign,
    cst.Arg,
    cst.Assert,
    cst.Assign,
    cst.AugAssign,
    cst.DictElement,
    cst.Element,
    cst.Expr,
    cst.For,
    cst.If,
    cst.Index,
    cst.ListComp,
    cst.Param,
    cst.Return,
    cst.While,
)
_NEEDY = (ast.NamedExpr, ast.Starred, ast.Tuple, ast.Yield, ast.YieldFrom)


def replace_expression(node: cst.BaseExpression, code: str, source: Source) -> list[TextChange]:
    code = code.strip()
    new = _parsed(code)
    if new is None or (not node.lpar and _needs_parentheses(new, code, node, source)):
        code = f"({code})"
    return [_change(node, code, source)]


def replace_other(node: cst.CSTNode, code: str, source: Source) -> list[TextChange]:
    """Replace what is neither an expression nor a statement: an argument, an imported name."""
    return [_change(node, code.strip(), source)]


def _change(node: cst.CSTNode, code: str, source: Source) -> TextChange:
    start, end = source.start(node), source.end(node)
    text = lay_out(code, source.indent(start), source)
    before, after = source.code[start - 1 : start], source.code[end : end + 1]
    lead = " " if _is_word(before) and _is_word(text[:1]) else ""
    trail = " " if _is_word(after) and _is_word(text[-1:]) else ""
    return start, end, lead + text + trail


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _parsed(code: str) -> ast.expr | None:
    """The new expression; None if it is one in parentheses only, such as one that goes over several lines."""
    try:
        return ast.parse(code, mode="eval").body
    except SyntaxError:
        pass
    try:
        ast.parse(f"({code})", mode="eval")
    except SyntaxError:
        raise CannotRewriteError(f"`{code}` is no expression") from None
    return None


def _needs_parentheses(new: ast.expr, code: str, node: cst.BaseExpression, source: Source) -> bool:
    parent = source.parent(node)
    if isinstance(parent, cst.Attribute) and isinstance(new, ast.Constant) and isinstance(new.value, (int, float)):
        return True
    if isinstance(new, _ATOMS) or _is_enclosed(code):
        return False
    if isinstance(new, ast.Tuple) and isinstance(node, cst.Tuple):
        return False
    is_loose = isinstance(parent, _LOOSE) and not (isinstance(parent, cst.Arg) and parent.star)
    return isinstance(new, _NEEDY) or not is_loose


def _is_enclosed(code: str) -> bool:
    """Whether the parenthesis that it starts with ends where it ends."""
    if not (code.startswith("(") and code.endswith(")")):
        return False
    try:
        ast.parse(f"[{code[1:-1]}]", mode="eval")
    except SyntaxError:
        return False
    return True
