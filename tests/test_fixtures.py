"""What is promised of every training script under `fixtures/`."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from clipcheck.engine.fix import FixResult, fix_document
from clipcheck.engine.lint import Result, lint_document
from clipcheck.engine.registry import load_cards
from clipcheck.settings import Settings, load_settings
from clipcheck.source.document import Document
from tests.fixture import EXPECT, Fixture, all_fixtures

FIXTURES = all_fixtures()
every_fixture = pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)


@cache
def settings_of(toml: str, folder: Path) -> Settings:
    path = folder / "clipcheck.toml"
    path.write_text(f'select = ["ALL"]\n{toml}\n')
    return load_settings(path)


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings")


def lint(document: Document, settings: Settings) -> Result:
    return lint_document(document, load_cards(settings.rule_packs), settings)


def fix(document: Document, settings: Settings) -> FixResult:
    return fix_document(document, load_cards(settings.rule_packs), settings, unsafe=True)


def read(fixture: Fixture) -> Document:
    return Document.from_bytes(fixture.path.name, fixture.path.read_bytes())


@every_fixture
def test_exactly_the_marked_lines_are_found(fixture: Fixture, scratch: Path) -> None:
    result = lint(read(fixture), settings_of(fixture.settings, scratch))
    starts = [(d.span.start.cell or 0, d.span.start.row, d.code) for d in result.diagnostics]
    assert sorted(starts) == fixture.expected
    assert result.problems == ()


@every_fixture
def test_every_finding_explains_itself(fixture: Fixture, scratch: Path) -> None:
    for found in lint(read(fixture), settings_of(fixture.settings, scratch)).diagnostics:
        assert found.why.endswith((".", ":"))
        assert found.advice.endswith(".")
        assert found.message[-1] not in ".:"
        assert "None" not in found.message or "None" in fixture.text


@every_fixture
def test_a_suppressed_finding_is_silent(fixture: Fixture, scratch: Path) -> None:
    suppressed = EXPECT.sub(r"# clipcheck: ignore[\1]", fixture.text)
    document = Document.from_bytes(fixture.path.name, suppressed.encode())
    assert lint(document, settings_of(fixture.settings, scratch)).diagnostics == ()


@every_fixture
def test_the_fixed_script_is_the_one_beside_it(fixture: Fixture, scratch: Path) -> None:
    result = fix(read(fixture), settings_of(fixture.settings, scratch))
    assert result.document is not None
    expected = fixture.fixed_path or fixture.path
    assert result.document.encode().decode() == expected.read_bytes().decode()
    assert result.dropped == ()


@every_fixture
def test_a_fixed_script_is_stable_and_has_only_what_no_fix_mends(fixture: Fixture, scratch: Path) -> None:
    settings = settings_of(fixture.settings, scratch)
    before = lint(read(fixture), settings)
    fixed = fix(read(fixture), settings).document
    assert fixed is not None
    again = fix(fixed, settings)
    assert again.document is not None
    assert again.document.code == fixed.code
    unmendable = {(d.code, _without_lines(d.message)) for d in before.diagnostics if d.fix is None}
    assert {(d.code, _without_lines(d.message)) for d in again.diagnostics} <= unmendable


def _without_lines(message: str) -> str:
    """A message in which lines that have moved do not count."""
    return re.sub(r"\blines? \d+", "line", message)


def test_each_rule_has_a_fixture_that_it_finds_and_one_in_which_it_is_silent() -> None:
    rules = load_cards(("clipcheck_rules",))
    for rule in rules:
        if rule.code == "CLP001":
            continue
        folder = rule.name.replace("-", "_")
        own = [fixture for fixture in FIXTURES if fixture.path.parent.name == folder]
        expected = [[code for _, _, code in fixture.expected] for fixture in own]
        assert any(rule.code in codes for codes in expected), f"{rule.code}: no finding in fixtures/*/{folder}"
        assert any(rule.code not in codes for codes in expected), f"{rule.code}: no look-alike in fixtures/*/{folder}"
