"""Rules are known by their cards, which are kept in a folder of the user."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipcheck.engine import cards
from clipcheck.engine.registry import load_cards

RULE = '''"""A rule."""
import re
from clipcheck.rule import Rule
print("imported")

class One(Rule):
    code = "{code}"
    name = "a-rule"
    screen = {screen}
    why = "Because."
    advice = "Do not."

    def check(self, script):
        yield from ()
'''


@pytest.fixture
def pack(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/__init__.py").write_text("")
    write(tmp_path / "kept", "TEAM1")
    yield tmp_path / "kept"
    load_cards.cache_clear()


def write(pack: Path, code: str, screen: str = 're.compile(rb"x", re.IGNORECASE)') -> None:
    (pack / "one.py").write_text(RULE.format(code=code, screen=screen))


def loaded(pack: Path) -> list[str]:
    """What another process prints that loads the pack: "imported" if it has to be imported, and its codes."""
    script = "from clipcheck.engine.registry import load_cards; print([c.code for c in load_cards(('kept',))])"
    run = subprocess.run([sys.executable, "-c", script], cwd=pack.parent, capture_output=True, text=True, check=True,
                         env={"PATH": "", "PYTHONPATH": str(Path(cards.__file__).parents[2]),
                              "XDG_CACHE_HOME": str(pack.parent / "cache")})  # fmt: skip
    return run.stdout.split("\n")[:-1]


KNOWN = "['CLP001', 'TEAM1']"


def test_a_pack_is_imported_once(pack: Path) -> None:
    assert loaded(pack) == ["imported", KNOWN]
    assert loaded(pack) == [KNOWN]


def test_a_pack_that_has_changed_is_imported_again(pack: Path) -> None:
    loaded(pack)
    write(pack, "TEAM23")
    assert loaded(pack) == ["imported", "['CLP001', 'TEAM23']"]
    (pack / "more.py").write_text("")
    assert loaded(pack)[0] == "imported"


@pytest.mark.parametrize("damage", [b"", b"\x00", b"i\x01\x00\x00\x00", b"(\x02\x00\x00\x00NN"])
def test_cards_that_are_damaged_are_made_anew(pack: Path, damage: bytes) -> None:
    loaded(pack)
    (kept,) = (pack.parent / "cache/clipcheck").glob("kept-*.cards")
    kept.write_bytes(damage)
    assert loaded(pack) == ["imported", KNOWN]
    assert loaded(pack) == [KNOWN]


def test_where_nothing_can_be_written_the_rules_are_imported(pack: Path) -> None:
    (pack.parent / "cache").write_text("no folder")
    assert loaded(pack) == loaded(pack) == ["imported", KNOWN]


def test_nothing_is_left_where_the_pack_lies(pack: Path) -> None:
    """An installer would not remove it."""
    loaded(pack)
    assert not [path for path in pack.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]


@pytest.mark.parametrize(
    ("screen", "conditions"),
    [
        ('re.compile(rb"x")', (((b"x", 0),),)),
        ('(rb"x", rb"y")', (((b"x", 0),), ((b"y", 0),))),
        ('(rb"x", (rb"y", rb"z"))', (((b"x", 0),), ((b"y", 0), (b"z", 0)))),
    ],
)
def test_a_screen_is_a_pattern_or_several(
    pack: Path, monkeypatch: pytest.MonkeyPatch, screen: str, conditions: cards.Condition
) -> None:
    write(pack, "TEAM1", screen)
    monkeypatch.syspath_prepend(str(pack.parent))
    own = next(card for card in load_cards(("kept",)) if card.code == "TEAM1")
    assert own.screen == conditions
    assert not own.has_candidate
    assert own.rule.code == "TEAM1"
    for name in [name for name in sys.modules if name.partition(".")[0] == "kept"]:
        del sys.modules[name]
    cards._rule.cache_clear()
