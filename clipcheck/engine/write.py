"""Replace a file so that at every moment there is either the old one or the new one."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Give an existing file new bytes; its mode stays, and its owner where that is allowed.

    Of a symbolic link the target is replaced. Raises OSError, with the old file as it was.
    """
    target = Path(os.path.realpath(path))
    before = target.stat()
    if not os.access(target, os.W_OK):  # its folder may allow to replace it, but its owner has said no
        raise PermissionError(13, "the file is read-only", str(path))
    import tempfile

    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    new = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _keep_owner(new, before)
        new.chmod(stat.S_IMODE(before.st_mode))
        new.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise


def _keep_owner(new: Path, before: os.stat_result) -> None:
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):
            os.chown(new, before.st_uid, before.st_gid)
