"""A file is replaced at once, or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pytest

from clipcheck.engine.write import write_atomically


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_bytes(b"old")
    path.chmod(0o750)
    return path


def test_the_mode_is_kept(script: Path) -> None:
    write_atomically(script, b"new")
    assert script.read_bytes() == b"new"
    assert script.stat().st_mode & 0o777 == 0o750
    assert list(script.parent.iterdir()) == [script]


def test_of_a_link_the_target_is_replaced(script: Path) -> None:
    link = script.parent / "link.py"
    link.symlink_to("script.py")
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert script.read_bytes() == b"new"


@pytest.mark.parametrize("failing", ["os.replace", "os.fsync"])
def test_the_old_file_survives_a_failure(script: Path, failing: str) -> None:
    with mock.patch(failing, side_effect=OSError(28, "No space left on device")), pytest.raises(OSError, match="space"):
        write_atomically(script, b"new")
    assert script.read_bytes() == b"old"
    assert list(script.parent.iterdir()) == [script]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_file_is_not_replaced(script: Path) -> None:
    script.chmod(0o440)
    with pytest.raises(PermissionError):
        write_atomically(script, b"new")
    assert script.read_bytes() == b"old"


def test_a_file_that_may_not_be_written_is_not_replaced(script: Path) -> None:
    with mock.patch("os.access", return_value=False), pytest.raises(PermissionError, match="read-only"):
        write_atomically(script, b"new")
    assert script.read_bytes() == b"old"
