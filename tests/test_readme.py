from __future__ import annotations

import re

from click.testing import CliRunner

from clipcheck.cli.main import cli
from tests.checkout import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def between(marker: str) -> str:
    found = re.search(rf"<!-- {marker} -->\n(.*?)<!-- /{marker} -->", README, re.DOTALL)
    assert found, f"the README has no part <!-- {marker} -->"
    return found[1]


def test_the_table_of_rules_is_current(tmp_path, monkeypatch):
    """To renew it: clipcheck rule --all --output-format markdown"""
    monkeypatch.chdir(tmp_path)
    table = CliRunner().invoke(cli, ["rule", "--all", "--output-format", "markdown"]).stdout
    assert between("rules") == table


def test_the_table_links_to_files_that_are_there():
    for path in re.findall(r"\]\(([^)]+\.py)\)", between("rules")):
        assert (ROOT / path).is_file()


def test_the_table_of_exit_codes_and_the_options_are_those_of_the_command():
    for command in ("lint", "fix"):
        text = CliRunner().invoke(cli, [command, "--help"]).stdout
        for option in re.findall(rf"^clipcheck {command} .*?(--[a-z-]+)", README, re.MULTILINE):
            assert option in text
    lint = CliRunner().invoke(cli, ["lint", "--help"]).stdout
    for option in re.findall(r"^\| .*?\|", README, re.MULTILINE):
        for name in re.findall(r"`(--[a-z-]+)", option):
            assert name in lint


def test_the_tests_of_the_readme_are_those_of_ci():
    assert ".venv/bin/python -m pytest" in between("tests")
    assert "<!-- tests -->" in (ROOT / ".ci" / "run").read_text()


def test_the_example_is_what_clipcheck_prints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    code, lint, diff = re.findall(r"```\w+\n(.*?)```", between("example"), re.DOTALL)
    (tmp_path / "wgan.py").write_text(code)
    assert lint == "$ clipcheck lint wgan.py\n" + CliRunner().invoke(cli, ["lint", "wgan.py"]).stdout
    assert diff == CliRunner().invoke(cli, ["fix", "--unsafe-fixes", "--diff", "wgan.py"]).stdout
