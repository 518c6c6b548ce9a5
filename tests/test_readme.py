from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
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


@pytest.mark.parametrize(("title", "command"), [("Lint", "lint"), ("Verify", "verify")])
def test_the_options_of_a_table_are_those_of_the_command(title, command):
    text = CliRunner().invoke(cli, [command, "--help"]).stdout
    (section,) = re.findall(rf"^## {title}\n(.*?)^## ", README, re.DOTALL | re.MULTILINE)
    options = [
        name for cell in re.findall(r"^\| .*?\|", section, re.MULTILINE) for name in re.findall("--[a-z-]+", cell)
    ]
    assert options
    for option in options:
        assert option in text


@pytest.mark.parametrize("command", ["lint", "fix", "verify"])
def test_the_options_of_the_examples_are_those_of_the_command(command):
    text = CliRunner().invoke(cli, [command, "--help"]).stdout
    examples = re.findall(rf"^clipcheck {command} (.*?)(?: -- |  #|$)", README, re.MULTILINE)
    assert examples
    for example in examples:
        for option in re.findall("--[a-z-]+", example):
            assert option in text


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


@pytest.mark.frameworks
def test_the_verified_example_is_what_clipcheck_prints(tmp_path):
    """But for the numbers that the script draws."""
    code = re.findall(r"```\w+\n(.*?)```", between("example"), re.DOTALL)[0]
    (shown,) = re.findall(r"```console\n(.*?)```", between("verify"), re.DOTALL)
    (tmp_path / "wgan.py").write_text(code)
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    ran = subprocess.run(
        [sys.executable, "-m", "clipcheck", "verify", "--fixed", "wgan.py"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert _without_drawn(shown) == _without_drawn(f"$ clipcheck verify --fixed wgan.py\n{ran.stderr}{ran.stdout}")


def _without_drawn(text: str) -> list[str]:
    """The words, without the numbers but 0.01, which have a digit more or less from run to run."""
    return re.sub(r"-?0\.\d{4,}", "N", text).split()


def test_the_example_for_many_machines_runs(tmp_path, capsys):
    """With threads for the cluster."""
    (code,) = re.findall(r"```python\n(.*?)```", between("executor"), re.DOTALL)
    (tmp_path / "train.py").write_text("import torch\n\n\ndef f(x):\n    torch.clamp(x, -1, 1)\n    return x\n")
    code = code.replace("from dask.distributed import Client\n", "from concurrent.futures import ThreadPoolExecutor\n")
    code = code.replace('Client("scheduler:8786").get_executor()', "ThreadPoolExecutor(2)")
    exec(code.replace("/data/code", str(tmp_path)), {})
    assert capsys.readouterr().out.startswith(f"{tmp_path}/train.py:5: CLP301 ")
