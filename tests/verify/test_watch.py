"""Claims from the command line: bound to whatever gets the name, wherever it gets it."""

from __future__ import annotations

from textwrap import dedent
from types import SimpleNamespace

import pytest

from clipcheck.verify.child.notes import compiled
from clipcheck.verify.claim import Kind, Since
from clipcheck.verify.watch import WatchError, Wish, claims_for


def bound(name: str, code: str) -> list[object]:
    """Runs code with a name watched, and returns what was bound, in that order."""
    code = dedent(code)
    (claim,) = claims_for([Wish(name, -1.0, 1.0)], "train.py", {"train.py": code})
    found: list[object] = []
    session = SimpleNamespace(note=lambda number: found.append)
    exec(compiled(code, "train.py", [(0, note) for note in claim.notes]), {"__clipcheck__": session})
    return found


@pytest.mark.parametrize(
    "code",
    [
        "critic = 7",
        "critic: int = 7",
        "actor, (critic, *rest) = 1, (7, 8)",
        "actor = critic = 7",
        "for critic in [7]: pass",
        "from contextlib import nullcontext\nwith nullcontext(7) as critic: pass",
        "def train(actor, critic=7): pass\ntrain(1)",
        'def train(*, critic):\n    """Doc."""\ntrain(critic=7)',
        "class Trainer:\n    def __init__(self):\n        self.critic = 7\nTrainer()",
        "if True: critic = 7",
        "try: 1 / 0\nexcept ZeroDivisionError: critic = 7",
        "critic = 7; actor = 8",
    ],
)
def test_whatever_gives_the_name_a_value(code):
    assert bound("critic", code) == [7]


def test_a_name_that_is_imported():
    assert bound("maths.pi", "import math as maths") == [pytest.approx(3.1416, abs=1e-3)]
    assert bound("pi", "from math import pi") == [pytest.approx(3.1416, abs=1e-3)]


def test_each_value_that_it_gets():
    assert bound("critic", "critic = 1\nfor _ in range(2): critic = critic + 1") == [1, 2, 3]


def test_part_of_what_gets_a_value():
    code = """\
    from types import SimpleNamespace as N
    critic = N(head=N(weight=3))
    critic.head = N(weight=4)
    critic.tail = 9
    trainer = N()
    trainer.critic = N(head=N(weight=5))
    """
    # The whole of it is bound again when another part changes; what counts is that no value of it is missed.
    assert bound("critic.head.weight", code) == [3, 4, 5]


def test_only_that_name():
    code = """\
    class Trainer: pass
    trainer, other, critic = Trainer(), Trainer(), 1
    trainer.critic = 2
    other.critic = 3
    critics = 4
    trainer.critics = 5
    """
    assert bound("trainer.critic", code) == [2]
    assert bound("critic", code) == [1, 2, 3]


def test_the_docstring_stays_first():
    code = 'def train(critic):\n    """Doc."""\n    return 1\ntrain(2)\nresult = train.__doc__\n'
    assert bound("critic", code) == [2]
    assert bound("result", code) == ["Doc."]


def test_the_claim():
    sources = {"train.py": "from net import critic\n", "net.py": "critic = 1\n", "broken.py": "critic = ("}
    (claim,) = claims_for([Wish("critic.*.weight", None, 0.5, ("*conv*",), "--watch …")], "train.py", sources)
    assert (claim.kind, claim.since, claim.low, claim.high) == (Kind.WEIGHTS, Since.USE, None, 0.5)
    assert (claim.subject, claim.parameters) == ("critic", ("critic.*.weight", "*conv*"))
    assert [(note.path, note.line) for note in claim.notes] == [("train.py", 1), ("net.py", 1)]


@pytest.mark.parametrize("name", ["nobody", "*.weight", "critic[0]", "", "a b", "critic."])
def test_names_that_are_none(name):
    with pytest.raises(WatchError):
        claims_for([Wish(name, -1.0, 1.0)], "train.py", {"train.py": "critic = 1\n"})
