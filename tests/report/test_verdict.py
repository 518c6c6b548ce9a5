"""What `clipcheck verify` tells of a run."""

from __future__ import annotations

import json
import math
from textwrap import dedent

import pytest
from msgspec.structs import replace

from clipcheck.report.colour import PLAIN, ansi
from clipcheck.report.numbers import interval, number
from clipcheck.report.verdict import ROWS, full, message
from clipcheck.report.verdict_json import json_text
from clipcheck.source.document import Document
from clipcheck.verify.claim import Claim, Kind, Note, Since
from clipcheck.verify.job import Job
from clipcheck.verify.record import Ended, Record, Seen
from clipcheck.verify.run import Outcome
from clipcheck.verify.trial import Trial
from clipcheck.verify.verdict import judge

CLAIM = Claim(Kind.WEIGHTS, "critic", "p.data.clamp_(-c, c)", "train.py", 9, low=-0.1, high=0.1)
WEIGHT = Seen(
    0,
    "critic.0.weight",
    (64, 2),
    "float32",
    "cpu",
    low=-0.1,
    high=0.1,
    updates=50,
    looks=50,
    lowest=-0.1,
    highest=0.05,
    extreme_update=3,
)
BIAS = replace(WEIGHT, name="critic.0.bias", shape=(64,))
OUT = replace(BIAS, lowest=-0.7, extreme_update=40, violated_update=12, violated_value=-0.125)
DOCUMENT = Document("train.py", "pass\n" * 20, "utf-8", b"")


def trial(*seen: Seen, claims=(CLAIM,), ended=Ended.ENOUGH, document=DOCUMENT, **record) -> Trial:
    job = Job(document.path, (), claims, "")
    bound = tuple(range(len(claims)))
    outcome = Outcome((Record(ended, **{"updates": 50, "bound": bound, "seen": seen, **record}),), seconds=1.25)
    return Trial(document, job, outcome, judge(job, outcome))


def told(*arguments, every_row=False, **options) -> str:
    return "".join(full(trial(*arguments, **options), PLAIN, 100, every_row=every_row))


def test_held():
    assert told(WEIGHT, BIAS) == dedent("""\
        the weights of `critic` stay in [-0.1, 0.1]: `p.data.clamp_(-c, c)` in train.py:9
          parameter        shape  device  bound        extreme  at update  verdict
          critic.0.weight  64×2   cpu     [-0.1, 0.1]  -0.1     3          held
          critic.0.bias    64     cpu     [-0.1, 0.1]  -0.1     3          held

        held: the weights of `critic` stayed in [-0.1, 0.1], both of them, during 50 updates
        (`p.data.clamp_(-c, c)` in train.py:9).
        """)


def test_violated():
    assert told(WEIGHT, OUT) == dedent("""\
        the weights of `critic` stay in [-0.1, 0.1]: `p.data.clamp_(-c, c)` in train.py:9
          parameter        shape  device  bound        extreme  at update  verdict
          critic.0.bias    64     cpu     [-0.1, 0.1]  -0.7     40         violated
          critic.0.weight  64×2   cpu     [-0.1, 0.1]  -0.1     3          held

        violated: `critic.0.bias` (64, cpu) was -0.125 after update 12: it is to stay in [-0.1, 0.1] because
        of `p.data.clamp_(-c, c)` in train.py:9.
        """)


def test_inconclusive():
    error = "Traceback (most recent call last):\nValueError: no such file"
    assert told(WEIGHT, ended=Ended.CRASHED, error=error).endswith(
        "held so far\n\n"
        "inconclusive: the script crashed after 50 updates: ValueError: no such file. So nothing is proved.\n"
    )
    assert told(ended=Ended.FINISHED).endswith("inconclusive: nothing of `critic` was updated. So nothing is proved.\n")


def test_one_claim_of_two():
    """What held is no proof of the rest."""
    note = Note("train.py", 12, 0, False, "actor")
    switched_off = replace(CLAIM, subject="actor", line=12, notes=(note,))
    text = message(trial(WEIGHT, claims=(CLAIM, switched_off), bound=(0,), ended=Ended.FINISHED))
    assert text == (
        "line 12 of train.py never ran, so its claim about `actor` could not be judged. "
        "So not all of its claims are proved."
    )


def test_violated_and_crashed():
    """Both are said."""
    text = message(trial(OUT, ended=Ended.CRASHED, error="ValueError: NaN"))
    assert text.startswith("`critic.0.bias`")
    assert text.endswith("The script crashed after 50 updates: ValueError: NaN.")


def test_interrupted():
    assert told(WEIGHT, ended=Ended.INTERRUPTED).endswith("The script was interrupted after 50 updates.\n")


def test_violated_at_the_end_only():
    assert "was -0.1 at the end of the run" in message(trial(replace(WEIGHT, last_is_out=True)))


@pytest.mark.parametrize(
    ("kind", "seen", "words"),
    [
        (Kind.GRADIENTS, {"norm": 0.1}, "the gradients of `critic.0.bias` had a norm of -0.125 at update 12, and"),
        (Kind.GRADIENTS, {}, "the gradients of `critic.0.bias` had an entry of -0.125 at update 12, and"),
        (Kind.OUTPUTS, {"violated_update": 0}, "`critic.0.bias` returned -0.125 before the first update, and"),
        (Kind.WEIGHTS, {}, "`critic.0.bias` (64, cpu) was -0.125 after update 12, and 1 other left its bounds too: it"),
    ],
)
def test_what_was_violated(kind, seen, words):
    later = replace(OUT, name="critic.2.bias", violated_update=20)
    assert message(trial(replace(OUT, **seen), later, claims=(replace(CLAIM, kind=kind),))).startswith(words)


def test_many_parameters():
    """What left its bounds comes first, then some of the others; the rest is counted."""
    many = [replace(WEIGHT, name=f"critic.{index}.weight") for index in range(40)]
    text = told(*many, OUT)
    rows = [line.split() for line in text.splitlines() if line.startswith("  critic.")]
    assert rows[0][0] == "critic.0.bias"
    shown = len(rows) - 1
    assert 0 < shown < ROWS
    assert f"… and {40 - shown} more that stayed in bounds (all with -v)" in text
    unseen = [replace(one, name=f"critic.frozen.{index}", looks=0, updates=0) for index, one in enumerate(many)]
    assert f"… and {40 - shown} more that stayed in bounds and 40 more that were never seen (" in told(
        *unseen, *many, OUT
    )
    every = told(*many, OUT, every_row=True)
    assert every.count("critic.") > 40
    assert "more that" not in every


def test_each_process_has_its_rows():
    job = Job("train.py", (), (CLAIM,), "")
    records = [Record(Ended.ENOUGH, 50, (replace(WEIGHT, rank=rank),), (0,), rank=rank) for rank in (0, 1)]
    outcome = Outcome(tuple(records))
    text = "".join(full(Trial(DOCUMENT, job, outcome, judge(job, outcome)), PLAIN, 100))
    assert [line.split()[:2] for line in text.splitlines()[1:4]] == [
        ["parameter", "rank"],
        ["critic.0.weight", "0"],
        ["critic.0.weight", "1"],
    ]


@pytest.mark.parametrize(
    ("claim", "seen", "words"),
    [
        ({}, {"low": None, "high": 1.0}, "the weights of `critic` stay at most 1: "),
        ({}, {"low": 0.0, "high": None}, "the weights of `critic` stay at least 0: "),
        ({}, {"low": -3.0, "high": 3.0}, "the weights of `critic` stay in [-3, 3]: "),
        (
            {"kind": Kind.GRADIENTS, "subject": "optimizer"},
            {"norm": 5.0},
            "the gradients that reach `optimizer` have a norm of at most 5: ",
        ),
        ({"kind": Kind.OUTPUTS, "subject": "Clip"}, {}, "what `Clip` returns stays in [-0.1, 0.1]: "),
        ({"line": 0, "told": "--watch critic --bound 0.1"}, {}, "[-0.1, 0.1]: `--watch critic --bound 0.1`\n"),
        ({"path": "nets/critic.py", "line": 4}, {}, "in nets/critic.py:4\n"),
        ({"since": Since.UPDATE, "told": "`Clip(0.1)`"}, {}, ": `Clip(0.1)` in train.py:9\n"),
    ],
)
def test_promises(claim, seen, words):
    assert words in told(replace(WEIGHT, **seen), claims=(replace(CLAIM, **claim),))


def test_bounds_that_differ_from_weight_to_weight():
    """The claim's own are told, where it has any."""
    seen = (WEIGHT, replace(BIAS, high=0.2))
    assert told(*seen).startswith("the weights of `critic` stay in [-0.1, 0.1]: ")
    assert told(*seen, claims=(replace(CLAIM, low=None, high=None),)).startswith(
        "the weights of `critic` stay in bounds: "
    )


def test_cells_of_notebooks():
    cells = [{"cell_type": "code", "source": text} for text in ("import torch", "x = 1\nclip(x)")]
    notebook = json.dumps({"cells": [{**cell, "metadata": {}, "outputs": []} for cell in cells], "metadata": {}})
    document = Document.from_bytes("train.ipynb", notebook.encode())
    claim = replace(CLAIM, path="train.ipynb", line=3)
    assert ": `p.data.clamp_(-c, c)` in train.ipynb:cell 2:2\n" in told(WEIGHT, claims=(claim,), document=document)


def test_colours():
    text = "".join(full(trial(WEIGHT, OUT), ansi, 100))
    assert "\x1b[1;31mviolated\x1b[0m\n" in text
    assert "\x1b[32mheld\x1b[0m\n" in text
    assert "\x1b[1;31mviolated:\x1b[0m `critic.0.bias`" in text


def test_json():
    nan = replace(OUT, lowest=math.nan, highest=math.inf)
    (text,) = json_text([trial(WEIGHT, nan)])
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (found["verdict"], found["ended"], found["updates"], found["seconds"]) == ("violated", "enough", 50, 1.25)
    (claim,) = found["claims"]
    assert (claim["filename"], claim["location"], claim["verdict"]) == (
        "train.py",
        {"row": 9, "cell": None},
        "violated",
    )
    assert [one["verdict"] for one in claim["parameters"]] == ["held", "violated"]
    assert (claim["parameters"][1]["lowest"], claim["parameters"][1]["highest"]) == ("NaN", "Infinity")
    assert claim["parameters"][1]["violated_value"] == -0.125


def test_json_of_two_runs():
    (text,) = json_text([trial(OUT), trial(WEIGHT)])
    found = json.loads(text)
    assert (found["before"]["verdict"], found["after"]["verdict"]) == ("violated", "held")


@pytest.mark.parametrize(
    ("value", "beside", "text"),
    [
        (0.1, None, "0.1"),
        (0.10000000149011612, None, "0.1"),
        (0.10000000149011612, 0.1, "0.100000001"),
        (1.1, 1.0, "1.1"),
        (1.0000000000000002, 1.0, "1.0000000000000002"),
        (-0.25, -0.25, "-0.25"),
        (math.nan, 1.0, "nan"),
        (None, None, "-"),
    ],
)
def test_a_number_never_looks_like_the_bound_that_it_exceeds(value, beside, text):
    assert number(value, beside) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(-1.0, 1.0, "[-1, 1]"), (None, 1.0, "at most 1"), (0.0, math.inf, "at least 0"), (None, None, "")],
)
def test_interval(low, high, text):
    assert interval(low, high) == text
