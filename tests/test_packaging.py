from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from clipcheck.engine.registry import load_cards
from tests.checkout import ROOT, copy_checkout, python_files

PIP = [sys.executable, "-m", "pip"]
OFFLINE = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    copy = copy_checkout(folder / "checkout")
    subprocess.run([*PIP, "wheel", *OFFLINE, "--wheel-dir", folder, copy], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_a_wheel_holds_every_module_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    expected = {f"clipcheck/{name}" for name in python_files(ROOT / "clipcheck")}
    expected |= {f"clipcheck_rules/{name}" for name in python_files(ROOT / "rules")}
    assert {name for name in names if name.endswith(".py")} == expected
    assert {"clipcheck/py.typed", "clipcheck_rules/py.typed"} <= set(names)


def test_an_installed_wheel_lists_the_rules_without_torch_or_tensorflow(wheel, tmp_path):
    subprocess.run([*PIP, "install", *OFFLINE, "--target", tmp_path, wheel], check=True)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.modules['torch'] = sys.modules['tensorflow'] = None;"
        "import clipcheck_rules; print(clipcheck_rules.__file__, file=sys.stderr);"
        "from clipcheck.cli.main import cli; cli(['rule', '--all'])"
    )
    listed = subprocess.run(
        [sys.executable, "-c", code, tmp_path], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert listed.stderr.startswith(str(tmp_path))
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [rule.code for rule in load_cards()]


def test_help_and_version_load_no_heavy_package():
    code = (
        "import sys; from clipcheck.cli.main import cli\n"
        "try: cli(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print('loaded', sorted({'libcst', 'yaml', 'pathspec', 'torch', 'keras', 'numpy'} & set(sys.modules)))"
    )
    for option in ("--help", "--version"):
        done = subprocess.run([sys.executable, "-c", code, option], check=True, capture_output=True, text=True)
        assert done.stdout.endswith("loaded []\n")
