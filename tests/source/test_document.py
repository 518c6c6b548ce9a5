from __future__ import annotations

import libcst as cst
import pytest
from hypothesis import given
from hypothesis import strategies as st
from libcst.metadata import MetadataWrapper, PositionProvider

from clipcheck.diagnostic import Position, Span
from clipcheck.source.document import Document
from clipcheck.source.errors import SourceError

BOM = b"\xef\xbb\xbf"


def read(data: bytes) -> Document:
    return Document.from_bytes("train.py", data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x = 1",
        b"x = 1\r\ny = 2\r\n",
        b"x = 1\ry = 2\r\nz = 3\n\n\n",
        BOM + b"x = 1\n",
        BOM + b"# coding: utf-8\nx = 1\n",
        b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
        b"#!/usr/bin/python\r# vim: set fileencoding=cp1252 :\rx = '\x80'\r",
        b"# coding: shift_jis\nx = '\x83\x5c'\n",
        b"x = 1\n\x0c\ny = 2\x0b\n",
    ],
)
def test_what_was_not_edited_stays_byte_for_byte(data: bytes) -> None:
    assert read(data).encode() == data


def test_an_edit_keeps_byte_order_mark_cookie_and_line_ends() -> None:
    data = BOM + b"# coding: utf-8\r\nx = 1\r\ny = 2"
    edited = read(data).edited([(17, 22, "a = '\u00e9'\nb = 3")])
    assert edited.encode() == BOM + b"# coding: utf-8\r\na = '\xc3\xa9'\r\nb = 3\r\ny = 2"


def test_an_edit_is_written_in_the_encoding_of_the_file() -> None:
    document = read(b"# coding: latin-1\nx = '\xe9'\n")
    at = document.code.index("x")
    assert document.edited([(at, at + 1, "\u00e4")]).encode() == b"# coding: latin-1\n\xe4 = '\xe9'\n"
    with pytest.raises(SourceError, match="lacks"):
        document.edited([(at, at + 1, "\u03b1")]).encode()


def test_a_file_whose_encoding_has_other_spellings_is_not_rewritten() -> None:
    document = read(b"# coding: utf-7\nx = '+AGEAYg-'\n")
    assert "'ab'" in document.code
    assert document.encode() == b"# coding: utf-7\nx = '+AGEAYg-'\n"
    with pytest.raises(SourceError, match="utf-7"):
        document.edited([(0, 0, "# hello\n")]).encode()


def test_an_undone_edit_gives_back_the_bytes() -> None:
    document = read(b"x = 1\r\n")
    assert document.edited([(0, 1, "y")]).edited([(0, 1, "x")]).encode() == b"x = 1\r\n"


def test_the_byte_order_mark_is_no_code() -> None:
    assert read(BOM + b"x").code == "x"


@pytest.mark.parametrize(
    ("data", "message", "position"),
    [
        (b"ok = 1\nx = '\xff'\n", r"not valid utf-8: byte 0xff at offset 12", Position(2, 6)),
        (b"ok = 1\r\xe4 = '\xff'\r", r"not valid utf-8: byte 0xe4 at offset 7", Position(2, 1)),
        (b"x = 1\n\x00", r"binary file: a NUL byte at offset 6", None),
        (b"# coding: klingon\n", r"unknown encoding: klingon", Position(1, 1)),
        (b"# coding: hex\n", r"unknown encoding: hex", Position(1, 1)),
        (b"# coding: undefined\n", r"unknown encoding: undefined", Position(1, 1)),
        (BOM + b"# coding: latin-1\n", r"encoding problem: utf-8", Position(1, 1)),
    ],
)
def test_what_is_no_text_says_why(data: bytes, message: str, position: Position | None) -> None:
    with pytest.raises(SourceError, match=message) as error:
        read(data)
    assert error.value.position == position


@pytest.mark.parametrize(
    ("data", "newline"),
    [(b"x", "\n"), (b"a\r\nb\r\nc\n", "\r\n"), (b"a\rb\r", "\r"), (b"a\nb\r\nc\n", "\n")],
)
def test_the_line_end_is_the_one_most_lines_have(data: bytes, newline: str) -> None:
    assert read(data).newline == newline


def test_new_text_that_has_the_line_end_already_is_not_doubled() -> None:
    assert read(b"a\r\nb\r\n").edited([(0, 0, "x\r\ny\n")]).code == "x\r\ny\r\na\r\nb\r\n"


def test_edits_are_made_in_the_order_of_the_text() -> None:
    assert read(b"abcdef").edited([(4, 6, "Z"), (0, 1, "X"), (4, 4, "Y"), (4, 4, "y")]).code == "XbcdYyZ"


@pytest.mark.parametrize(
    "edits", [[(0, 3, ""), (2, 4, "")], [(0, 9, "")], [(-1, 2, "")], [(3, 2, "")], [(0, 3, ""), (1, 1, "x")]]
)
def test_edits_that_overlap_or_leave_the_text_are_refused(edits: list[tuple[int, int, str]]) -> None:
    with pytest.raises(ValueError, match="overlaps"):
        read(b"abcdef").edited(edits)


def test_lines_are_those_of_libcst() -> None:
    document = read("a = 1\rb = 2\r\n\x0c\nc = '\u2028\x0b\x85'; d = 4\n".encode())
    wrapper = MetadataWrapper(cst.parse_module(document.code), unsafe_skip_copy=True)
    for node, found in wrapper.resolve(PositionProvider).items():
        if isinstance(node, cst.Name):
            at = document.offset(found.start.line, found.start.column)
            assert document.code[at : at + len(node.value)] == node.value
            assert document.position_at(at) == document.position(found.start.line, found.start.column)
            assert node.value in document.source_line(document.position_at(at))


def test_rows_and_columns_count_from_1() -> None:
    document = read("\u00e4 = 1\nb = 2".encode())
    assert document.position(2, 4) == Position(2, 5)
    assert document.span(0, 6) == Span(Position(1, 1), Position(2, 1))
    assert document.source_line(Position(1, 1)) == "\u00e4 = 1"
    assert document.source_line(Position(2, 1)) == "b = 2"
    assert document.source_line(Position(3, 1)) == ""


@given(st.text(st.sampled_from("ab \r\n\x0c\u2028\u00e9")))
def test_every_offset_has_a_place_and_every_place_its_offset(text: str) -> None:
    document = Document.from_bytes("train.py", text.encode())
    assert document.encode() == text.encode()
    for offset in range(len(text) + 1):
        place = document.position_at(offset)
        assert document.offset(place.row, place.column - 1) == offset
