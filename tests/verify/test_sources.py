"""Which files belong to a script."""

from __future__ import annotations

from pathlib import Path

from clipcheck.verify.sources import sources_of


def made(folder: Path, **files: str) -> Path:
    for name, code in files.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    return folder / "train.py"


def names(script: Path) -> list[str]:
    return [Path(path).relative_to(script.parent).as_posix() for path in sources_of(script)]


def test_the_modules_beside_the_script_that_it_imports(tmp_path: Path) -> None:
    script = made(tmp_path, train="import models, os\nfrom losses import wasserstein", models="", losses="", unused="")
    assert names(script) == ["train.py", "models.py", "losses.py"]


def test_modules_by_way_of_each_other_and_in_a_circle(tmp_path: Path) -> None:
    script = made(tmp_path, train="import a", a="import b", b="import a, train")
    assert names(script) == ["train.py", "a.py", "b.py"]


def test_packages_and_relative_imports(tmp_path: Path) -> None:
    script = made(
        tmp_path,
        train="from nets.critic import Critic",
        nets__critic="from . import blocks\nfrom .. import other\nfrom .layers import Clip",
        nets__blocks="",
        nets__layers="",
    )
    (tmp_path / "nets" / "__init__.py").write_text("")
    assert names(script) == ["train.py", "nets/__init__.py", "nets/critic.py", "nets/blocks.py", "nets/layers.py"]


def test_a_submodule_that_is_imported_like_a_name(tmp_path: Path) -> None:
    script = made(tmp_path, train="from nets import critic", nets__critic="")
    assert names(script) == ["train.py", "nets/critic.py"]


def test_a_module_that_is_no_python_is_there_as_it_is_and_one_that_is_no_text_is_not(tmp_path: Path) -> None:
    script = made(tmp_path, train="import broken, binary", broken="def (:")
    (tmp_path / "binary.py").write_bytes(b"\0\xff")
    assert names(script) == ["train.py", "broken.py"]


def test_the_script_need_not_be_read(tmp_path: Path) -> None:
    script = made(tmp_path, a="")
    assert list(sources_of(script, "import a").values()) == ["import a", ""]
