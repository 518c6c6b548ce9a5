"""One verification, from a document to its verdict."""

from __future__ import annotations

import json

from msgspec.structs import replace

from clipcheck.source.document import Document
from clipcheck.verify.claim import Claim, Kind, Note
from clipcheck.verify.trial import Options, try_out


def test_lines_are_told_as_the_user_sees_them(tmp_path):
    cells = [{"cell_type": "code", "metadata": {}, "source": text} for text in ("on = False", "if on:\n    clip()")]
    path = tmp_path / "train.ipynb"
    document = Document.from_bytes(str(path), json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}).encode())
    line = document.code.splitlines().index("    clip()") + 1
    own = Claim(Kind.WEIGHTS, "critic", "clip()", str(path), line, notes=(Note(str(path), line, 4, False, "critic"),))
    imported = replace(own, path="nets.py", line=7)
    trial = try_out(document, [own, imported], Options(("--epochs", "1")))
    assert [judged.reason.partition(",")[0] for judged in trial.verdict.claims] == [
        "line 2 of cell 2 never ran with these arguments",
        "line 7 of nets.py never ran with these arguments",
    ]
