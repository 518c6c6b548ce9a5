from __future__ import annotations

from pathlib import Path

import pytest

from clipcheck.settings import Settings, SettingsError, find_settings, is_match, load_settings


def written(folder: Path, text: str, name: str = "clipcheck.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(text)
    return file


def test_every_key_is_read(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        select = ["CLP1", "ALL"]
        extend-select = ["CLP301"]
        ignore = ["CLP4"]
        exclude = ["legacy/"]
        unsafe-fixes = true
        rule-packs = ["clipcheck_rules", "team.rules"]
        weight-clip-style = "optimizer"
        target-keras = "3.4"
        target-torch = "2"
        [per-file-ignores]
        "tests/*" = ["CLP5"]
        """,
    )
    assert load_settings(file) == Settings(
        select=("CLP1", "ALL"),
        extend_select=("CLP301",),
        ignore=("CLP4",),
        per_file_ignores={"tests/*": ("CLP5",)},
        exclude=("legacy/",),
        unsafe_fixes=True,
        rule_packs=("clipcheck_rules", "team.rules"),
        weight_clip_style="optimizer",
        target_keras="3.4",
        target_torch="2",
        root=tmp_path,
    )


def test_what_is_not_set_has_its_default(tmp_path: Path) -> None:
    assert load_settings(written(tmp_path, "")) == Settings(root=tmp_path)
    assert load_settings(written(tmp_path, "[tool.ruff]\n", "pyproject.toml")) == Settings(root=tmp_path)


def test_pyproject_has_its_table(tmp_path: Path) -> None:
    file = written(tmp_path, '[tool.clipcheck]\nignore = ["CLP1"]\n[tool.other]\nx = 1\n', "pyproject.toml")
    assert load_settings(file).ignore == ("CLP1",)


def test_settings_are_found_upwards(tmp_path: Path) -> None:
    file = written(tmp_path, "[tool.clipcheck]\n", "pyproject.toml")
    written(tmp_path / "a", "[tool.ruff]\n# not clipcheck's\n", "pyproject.toml")
    script = written(tmp_path / "a/b", "", "train.py")
    assert find_settings(script) == file
    assert find_settings(script.parent) == file


def test_clipcheck_toml_goes_before_pyproject(tmp_path: Path) -> None:
    written(tmp_path, "[tool.clipcheck]\n", "pyproject.toml")
    written(tmp_path, "")
    assert find_settings(tmp_path) == tmp_path / "clipcheck.toml"


def test_a_broken_pyproject_of_others_is_passed_over(tmp_path: Path) -> None:
    file = written(tmp_path, "")
    written(tmp_path / "a", "[broken\n", "pyproject.toml")
    assert find_settings(tmp_path / "a") == file
    written(tmp_path / "a", "[tool.clipcheck\n", "pyproject.toml")
    with pytest.raises(SettingsError, match=r"pyproject\.toml: .*line 1"):
        find_settings(tmp_path / "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = [", r"clipcheck\.toml: .*(line 2|end of document)"),
        ('a = "b"c"', r"clipcheck\.toml: .*line 1"),
        ("ignores = []", r"clipcheck\.toml: unknown key `ignores`; did you mean `ignore`\?"),
        ("extend_select = []", r"unknown key `extend_select`; did you mean `extend-select`\?"),
        ("zzz = 1", r"unknown key `zzz`; known are select, extend-select"),
        ('select = "CLP1"', r"clipcheck\.toml: `select` must be an array .*, not the string 'CLP1'"),
        ("select = [1]", r"`select` must be an array .*, not the array \[1\]"),
        ('ignore = ["clp1"]', r"`ignore` must be an array of codes"),
        ('ignore = ["CLP-1"]', r"`ignore` must be an array of codes"),
        ('unsafe-fixes = "yes"', r"`unsafe-fixes` must be true or false, not the string 'yes'"),
        ("unsafe-fixes = 1", r"`unsafe-fixes` must be true or false, not the integer 1"),
        ("exclude = [true]", r"`exclude` must be an array of strings"),
        ('exclude = ["!"]', r"`exclude` must be patterns as in \.gitignore"),
        ('per-file-ignores = ["CLP1"]', r"`per-file-ignores` must be a table"),
        ('[per-file-ignores]\n"tests/*" = "CLP1"', r"`per-file-ignores` must be an array of codes"),
        ('rule-packs = ["my-rules"]', r"`rule-packs` must be an array of import paths"),
        ('weight-clip-style = "layer"', r'`weight-clip-style` must be "constraint" or "optimizer", not the string'),
        ("target-keras = 3", r"`target-keras` must be a version as a string, such as .*, not the integer 3"),
        ('target-torch = ">=2"', r"`target-torch` must be a version"),
        ("target-torch = 2020-01-01", r"`target-torch` must be a version as a string, .*, not 2020-01-01"),
    ],
)
def test_what_is_wrong_is_named_with_its_key_and_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(written(tmp_path, text))


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: No such file"):
        load_settings(tmp_path / "none.toml")
    file = tmp_path / "clipcheck.toml"
    file.write_bytes(b"# \xff")
    with pytest.raises(SettingsError, match="utf-8"):
        load_settings(file)
    with pytest.raises(SettingsError, match=r"tool\.clipcheck must be a table"):
        load_settings(written(tmp_path, "tool.clipcheck = 3", "pyproject.toml"))


@pytest.mark.parametrize(
    ("settings", "selected"),
    [
        (Settings(), {"CLP101", "CLP102", "CLP301"}),
        (Settings(select=("CLP1",)), {"CLP101", "CLP102"}),
        (Settings(select=()), set()),
        (Settings(select=("ALL",)), {"CLP101", "CLP102", "CLP301", "CLP999"}),
        (Settings(extend_select=("CLP999",)), {"CLP101", "CLP102", "CLP301", "CLP999"}),
        (Settings(select=("CLP3",), extend_select=("CLP101",)), {"CLP101", "CLP301"}),
        (Settings(ignore=("CLP1",)), {"CLP301"}),
        (Settings(ignore=("ALL",)), set()),
        (Settings(ignore=("ALL",), extend_select=("CLP301",)), {"CLP301"}),
        (Settings(select=("CLP101",), ignore=("CLP1",)), {"CLP101"}),
        (Settings(select=("ALL",), ignore=("CLP1", "CLP999")), {"CLP301"}),
        (Settings(select=("CLP1",), ignore=("CLP101",)), {"CLP102"}),
        (Settings(select=("CLP101",), ignore=("CLP101",)), set()),
    ],
)
def test_the_most_specific_selector_decides(settings: Settings, selected: set[str]) -> None:
    """CLP999 is off by default."""
    codes = ("CLP101", "CLP102", "CLP301", "CLP999")
    assert {code for code in codes if settings.is_selected(code, on_by_default=code != "CLP999")} == selected


def test_a_code_matches_itself_its_prefixes_and_all() -> None:
    assert all(is_match("CLP301", [own]) for own in ("CLP301", "CLP3", "CLP", "ALL"))
    assert not is_match("CLP301", ["CLP4", "CLP3012", "AL"])


@pytest.mark.parametrize(
    ("pattern", "matching"),
    [
        ("tests/*", {"tests/x.py", "tests/a/y.py"}),
        ("tests", {"tests/x.py", "tests/a/y.py", "src/tests/z.py"}),
        ("*.ipynb", {"src/n.ipynb"}),
        ("x.py", {"tests/x.py"}),
        ("/src/**/z.py", {"src/tests/z.py"}),
        ("!src/", {"tests/x.py", "tests/a/y.py"}),
    ],
)
def test_per_file_ignores(tmp_path: Path, pattern: str, matching: set[str]) -> None:
    settings = Settings(per_file_ignores={pattern: ("CLP1", "CLP2")}, root=tmp_path)
    names = ("tests/x.py", "tests/a/y.py", "src/tests/z.py", "src/n.ipynb")
    assert {name for name in names if settings.ignores_for(tmp_path / name) == ("CLP1", "CLP2")} == matching


def test_per_file_ignores_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(per_file_ignores={"a.py": ("CLP1",), "*.py": ("CLP2",)}, root=tmp_path)
    assert settings.ignores_for(Path("a.py")) == ("CLP1", "CLP2")
    assert settings.ignores_for(Path("../a.txt")) == ()
