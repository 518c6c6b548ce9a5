from __future__ import annotations

import ast
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcheck.diagnostic import Position, Span
from clipcheck.source.document import Document
from clipcheck.source.errors import SourceError
from clipcheck.source.magics import mask


def code(*lines: str) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": list(lines)}


def notebook(*cells: dict[str, Any], **metadata: object) -> dict[str, Any]:
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def written(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def read(data: bytes) -> Document:
    return Document.from_bytes("train.ipynb", data)


def of(*cells: dict[str, Any]) -> Document:
    return read(written(notebook(*cells)))


MARKDOWN = {"cell_type": "markdown", "metadata": {}, "source": ["# Clip"]}


def test_code_cells_are_one_text() -> None:
    assert of(code("import torch\n", "x = 1"), MARKDOWN, code("y = x")).code == "import torch\nx = 1\ny = x\n"


def test_a_position_names_the_cell_and_the_row_in_it() -> None:
    document = of(MARKDOWN, code("a = 1\n", "b = 2"), code(), code("\n", "c = 3"))
    assert document.position(1, 0) == Position(1, 1, 2)
    assert document.position(2, 4) == Position(2, 5, 2)
    assert document.position(4, 0) == Position(2, 1, 4)
    assert document.position_at(document.code.index("c")) == Position(2, 1, 4)
    assert document.source_line(Position(2, 1, 4)) == "c = 3"


def test_a_span_that_ends_with_its_cell_stays_in_it() -> None:
    document = of(code("a = 1\n", "b = 2"), code("c = 3"))
    assert document.span(6, 12) == Span(Position(2, 1, 1), Position(3, 1, 1))


@pytest.mark.parametrize(
    "dump",
    [
        {"indent": 1, "ensure_ascii": False},
        {"indent": 4, "sort_keys": True},
        {"indent": "\t"},
        {"separators": (",", ":")},
        {},
    ],
)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_only_the_changed_line_differs(dump: dict[str, Any], end: str) -> None:
    cells = [code("x = '\u00e9<'\n", "y = 2\n", "z = 3"), MARKDOWN, code("w = 4")]
    text = json.dumps(notebook(*cells), **dump) + end
    document = read(text.encode())
    assert document.encode() == text.encode()
    at = document.code.index("2")
    assert document.edited([(at, at + 1, "20")]).encode() == text.replace("y = 2", "y = 20").encode()
    at = document.code.index("4")
    assert document.edited([(at, at + 1, "40")]).encode() == text.replace("w = 4", "w = 40").encode()


def test_line_ends_of_the_json_and_a_byte_order_mark_stay() -> None:
    data = b"\xef\xbb\xbf" + written(notebook(code("x = 1\n", "y = 2"))).replace(b"\n", b"\r\n")
    assert read(data).edited([(4, 5, "7")]).encode() == data.replace(b"x = 1", b"x = 7")


def test_lines_that_do_not_change_keep_their_spelling() -> None:
    data = written(notebook(code("x = 1 < 2\n", "y = 2"))).replace(b"<", b"\\u003c")
    document = read(data)
    at = document.code.index("y")
    assert document.edited([(at, at, "z = 3\n")]).encode() == data.replace(b'"y = 2"', b'"z = 3\\n",\n    "y = 2"')


def test_a_source_that_is_one_string_stays_one() -> None:
    cell = {**code(), "source": "x = 1\ny = 2"}
    data = written(notebook(cell))
    assert read(data).edited([(0, 1, "z")]).encode() == data.replace(b"x = 1", b"z = 1")


def test_new_lines_are_items_of_the_list() -> None:
    edited = of(code("x = 1")).edited([(0, 0, "import torch\n")])
    assert json.loads(edited.encode())["cells"][0]["source"] == ["import torch\n", "x = 1"]
    assert edited.encode() == written(notebook(code("import torch\n", "x = 1")))


def test_what_is_put_at_a_join_lands_in_one_cell() -> None:
    document = of(code("a = 1"), code("b = 2"))
    for at, cells in ((5, ["a = 1\nnew = 0", "b = 2"]), (6, ["a = 1", "\nnew = 0b = 2"])):
        edited = document.edited([(at, at, "\nnew = 0")])
        assert ["".join(cell["source"]) for cell in json.loads(edited.encode())["cells"]] == cells
    assert document.edited([(12, 12, "c = 3\n")]).encode() == written(notebook(code("a = 1"), code("b = 2\n", "c = 3")))


def test_a_removed_last_line_leaves_no_empty_one() -> None:
    document = of(code("a = 1\n", "b = 2"), code("c = 3"))
    assert document.edited([(6, 12, "")]).encode() == written(notebook(code("a = 1"), code("c = 3")))


def test_a_cell_can_be_emptied() -> None:
    edited = of(code("a = 1"), code("c = 3")).edited([(0, 5, "")])
    assert edited.encode() == written(notebook(code(), code("c = 3")))


def test_a_change_over_several_cells_is_written_where_it_begins() -> None:
    edited = of(code("a = 1"), code("b = 2"), code("c = 3")).edited([(4, 16, "9")])
    assert edited.code == "a = 9\n\n3\n"
    assert edited.encode() == written(notebook(code("a = 9"), code(), code("3")))


def test_changes_that_overlap_at_a_join_are_refused() -> None:
    with pytest.raises(ValueError, match="overlaps"):
        of(code("a = 1"), code("b = 2")).edited([(0, 8, ""), (7, 9, "")])


MAGICS = [
    "%matplotlib inline",
    "!pip install torch",
    "!cat it's (",
    "?",
    "?torch.clamp",
    "torch.clamp??",
    "if x:\n    !ls",
    "files = !ls *.py",
    "a, b = %env CLIP",
    "!pip install \\\n  torch \\\n  keras",
    "x = '''\n%d\n!no\n''' % 3\n%time y = 1",
    "x = (1\n % 2)\n!ls",
    "x = 5 \\\n % 2\n!ls",
    "def f():  # why?\n    %pip list\r\n    return 'what?'",
    "# %magic? 'quote\n!ls\nx = 1  # (",
]


@pytest.mark.parametrize("source", MAGICS)
def test_magics_are_hidden_without_moving_anything(source: str) -> None:
    masked = mask(source)
    ast.parse(masked)
    assert len(masked) == len(source)
    assert masked.count("\n") == source.count("\n")
    assert masked != source


def test_only_magics_are_hidden() -> None:
    assert mask("x = '''\n%d\n''' % 3\n%time y = 1\nz = (1\n% 2)") == "x = '''\n%d\n''' % 3\n___________\nz = (1\n% 2)"
    assert mask("x = 1\nfiles = !ls\nobj.f?") == "x = 1\nfiles = ___\n______"
    assert mask("x = 5 \\\n% 2") == "x = 5 \\\n% 2"


@pytest.mark.parametrize("source", MAGICS)
def test_magics_come_back(source: str) -> None:
    document = of(code("x = 1"), code(*source.splitlines(keepends=True)), code("y = 2"))
    ast.parse(document.code)
    assert document.edited([(0, 1, "z")]).encode() == written(
        notebook(code("z = 1"), code(*source.splitlines(keepends=True)), code("y = 2"))
    )


def test_an_edit_beside_a_magic_keeps_it() -> None:
    edited = of(code("%pylab\n", "x = 1\n", "!ls")).edited([(7, 12, "y = 2")]).edited([(7, 7, "import torch\n")])
    assert edited.encode() == written(notebook(code("%pylab\n", "import torch\n", "y = 2\n", "!ls")))
    assert edited.source_line(Position(4, 1, 1)) == "!ls"


def test_an_edit_of_a_magic_is_refused() -> None:
    with pytest.raises(ValueError, match="magic of cell 1"):
        of(code("x = 1\n", "!ls")).edited([(0, 9, "y = 1\n___")])


def test_a_cell_of_another_language_is_left_out() -> None:
    bash, timed = code("%%bash\n", "ls -l"), code("%%time\n", "y = 2")
    document = of(code("x = 1"), bash, timed)
    assert document.code == "x = 1\ny = 2\n"
    assert document.position(2, 0) == Position(2, 1, 3)
    assert document.source_line(Position(1, 1, 3)) == "%%time"
    edited = document.edited([(6, 6, "import torch\n")])
    assert edited.encode() == written(notebook(code("x = 1"), bash, code("%%time\n", "import torch\n", "y = 2")))


def test_a_broken_cell_does_not_hide_the_others() -> None:
    document = of(code("print 'Python 2'"), code("x = 1"), code("z = \\"))
    assert document.code == "x = 1\n"
    assert document.position(1, 0).cell == 2


def test_a_lone_surrogate_breaks_its_cell_only() -> None:
    data = json.dumps(notebook(code("x = '\ud83d'"), code("y = 1"))).encode()
    assert read(data).code == "y = 1\n"


def test_a_notebook_without_one_readable_cell_is_an_error() -> None:
    with pytest.raises(SourceError, match="no cell of the notebook is valid Python") as error:
        of(MARKDOWN, code("%%time\n", "x = 1\n", "print 'x'"), code("y = ("))
    assert error.value.position is not None
    assert (error.value.position.row, error.value.position.cell) == (3, 2)


@pytest.mark.parametrize(
    "metadata", [{"language_info": {"name": "R"}}, {"kernelspec": {"language": "julia", "name": "julia-1.9"}}]
)
def test_a_notebook_in_another_language_has_no_code(metadata: dict[str, Any]) -> None:
    data = written(notebook(code("x <- 1"), **metadata))
    document = read(data)
    assert document.code == ""
    assert document.encode() == data


def test_no_cells_no_code() -> None:
    assert of().code == ""
    assert of(code(), MARKDOWN, code("%%html\n", "<b>")).code == ""


def test_a_cell_that_vs_code_runs_in_another_language_is_left_out() -> None:
    assert of({**code("let x"), "metadata": {"vscode": {"languageId": "javascript"}}}, code("x = 1")).code == "x = 1\n"


def test_format_3_is_read_and_written() -> None:
    old = {"cell_type": "code", "collapsed": False, "input": ["x = 1\n", "y = 2"], "language": "python", "outputs": []}
    content = {"metadata": {"name": ""}, "nbformat": 3, "worksheets": [{"cells": [MARKDOWN, old], "metadata": {}}]}
    data = written(content)
    document = read(data)
    assert document.code == "x = 1\ny = 2\n"
    assert document.position(2, 0) == Position(2, 1, 2)
    assert document.edited([(6, 7, "z")]).encode() == data.replace(b"y = 2", b"z = 2")


@pytest.mark.parametrize(
    ("data", "message", "position"),
    [
        (b"", "not a notebook", Position(1, 1)),
        (b'{\n "cells": [\n', "not a notebook", Position(3, 1)),
        (b"[]", "it has no cells", None),
        (b'{"nbformat": 4}', "it has no cells", None),
        (b"x = 1", "not a notebook", Position(1, 1)),
        (b'{"cells": "\xff"}', "not valid utf-8: byte 0xff at offset 11", Position(1, 12)),
        (b"[" * 100_000, "not a notebook", None),
    ],
)
def test_what_is_no_notebook_says_why(data: bytes, message: str, position: Position | None) -> None:
    with pytest.raises(SourceError, match=message) as error:
        read(data)
    if position:
        assert error.value.position == position


@pytest.mark.parametrize(
    "cells", [[3, None], {"a": 1}, "x", [{"cell_type": "code"}], [{"cell_type": "code", "source": [1]}]]
)
def test_odd_cells_are_passed_over(cells: object) -> None:
    assert read(json.dumps({"cells": cells}).encode()).code == ""


LINES = st.sampled_from(
    ["x = 1", "if x:\n    y = 2", "", "!ls 'a", "%%time", "print 'x'", "s = '\u00e9\\n\"'", "z?", "# c"]
)
CELLS = st.lists(st.lists(LINES, max_size=4).map("\n".join), min_size=1, max_size=4)


@given(CELLS, st.data())
def test_edits_change_nothing_else_and_are_read_again(sources: list[str], data: st.DataObject) -> None:
    cells = [code("x = 0"), *(code(*source.splitlines(keepends=True)) for source in sources)]
    document = of(*cells)
    assert document.encode() == written(notebook(*cells))
    line = data.draw(st.integers(1, document.code.count("\n")))
    at = document.offset(line, 0)
    place = document.position_at(at)
    edited = document.edited([(at, at, "# new\n")])
    again = read(edited.encode())
    assert again.source_line(place) == "# new"
    assert again.code == edited.code
    assert again.edited([(at, at + 6, "")]).encode() == document.encode()


@pytest.mark.parametrize(
    "line", [" " * 50_000, "=" * 50_000, "? " * 20_000, "x" * 50_000, "'" * 50_000, "\\\n" * 20_000]
)
def test_odd_lines_take_no_time(line: str) -> None:
    of(code("x = 1"), code("!ls\n", line + "\n", "y = ("))
