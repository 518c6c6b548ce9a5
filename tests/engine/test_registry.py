"""Rules come from the packs that the settings name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipcheck.engine.registry import RulePackError, load_cards, selected
from clipcheck.settings import Settings, SettingsError
from tests.engine.toy_rules import RULES

RULE = '''"""A rule."""
import re
from clipcheck.rule import Rule

class {name}(Rule):
    code = "{code}"
    name = "a-rule"
    screen = re.compile(rb"x")
    why = "Because."
    advice = "Do not."

    def check(self, script):
        yield from ()
'''


@pytest.fixture
def packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    load_cards.cache_clear()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_rules_of_a_pack_are_found_in_all_its_folders(packs: Path) -> None:
    write(packs / "pack_a/__init__.py", "")
    write(packs / "pack_a/losses/__init__.py", "")
    write(packs / "pack_a/losses/two.py", RULE.format(name="Two", code="TEAM2"))
    write(
        packs / "pack_a/one.py",
        RULE.format(name="One", code="TEAM1") + "\n\nclass _Base(Rule):\n    check = One.check\n",
    )
    rules = load_cards(("pack_a",))
    assert [rule.code for rule in rules] == ["CLP001", "TEAM1", "TEAM2"]
    assert [rule.family for rule in rules] == ["engine", "pack_a", "losses"]


def test_a_single_module_may_be_a_pack(packs: Path) -> None:
    write(packs / "pack_b.py", RULE.format(name="One", code="TEAM1"))
    assert [rule.code for rule in load_cards(("pack_b", "pack_b"))] == ["CLP001", "TEAM1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "rule pack `pack_c` holds no rule"),
        ("1 / 0", "rule pack `pack_c` cannot be imported: ZeroDivisionError: division by zero"),
        (RULE.format(name="One", code="CLP001"), "have the same code CLP001"),
        (RULE.format(name="One", code="clp"), "'clp' is not letters and digits"),
        (RULE.format(name="One", code="T1").replace("    why = ", "    what = "), "rule pack_c.One has no `why`"),
        (RULE.format(name="One", code="T1").replace('rb"x"', '"x"'), "the screen must be a pattern of bytes"),
        (RULE.format(name="One", code="T1").replace("a-rule", "A rule"), "not in lower case with hyphens"),
    ],
)
def test_a_pack_that_cannot_be_used_says_why(packs: Path, text: str, message: str) -> None:
    write(packs / "pack_c.py", text)
    with pytest.raises(RulePackError, match=message.replace("(", r"\(")):
        load_cards(("pack_c",))
    sys.modules.pop("pack_c", None)


def test_a_pack_that_is_not_there_says_so(packs: Path) -> None:
    with pytest.raises(RulePackError, match="rule pack `no_such_pack` cannot be imported: ModuleNotFoundError"):
        load_cards(("no_such_pack",))


def test_a_broken_module_of_a_pack_is_named(packs: Path) -> None:
    write(packs / "pack_d/__init__.py", RULE.format(name="One", code="TEAM1"))
    write(packs / "pack_d/broken.py", "import nothing_like_this")
    with pytest.raises(RulePackError, match=r"`pack_d` \(pack_d.broken\) cannot be imported"):
        load_cards(("pack_d",))


def test_rules_are_selected() -> None:
    assert [rule.code for rule in selected(RULES, Settings(select=("TOY2",)))] == ["TOY201", "TOY202"]
    assert "TOY902" not in [rule.code for rule in selected(RULES, Settings())]
    assert "TOY902" in [rule.code for rule in selected(RULES, Settings(select=("ALL",)))]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(select=("NOPE",)), "`NOPE` in `select` matches no rule"),
        (Settings(ignore=("TOY2011",)), "`TOY2011` in `ignore` matches no rule"),
        (Settings(per_file_ignores={"a": ("X1",)}), "`X1` in `per-file-ignores` matches no rule"),
    ],
)
def test_a_selector_that_matches_nothing_is_an_error(settings: Settings, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        selected(RULES, settings)
