"""How the process of a run is started so that it can be ended with all that it has started in turn."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def start(command: list[str], output: Path) -> subprocess.Popen[bytes]:
    """In a group of its own, without input. output: what it prints, on either stream."""
    with output.open("wb") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )


def interrupt(group: int) -> None:
    """What Ctrl-C does to a group, which has the id of its first process."""
    if sys.platform == "win32":  # There is no Ctrl-C for another group.
        _send(os.kill, group, signal.CTRL_BREAK_EVENT)
    else:
        _send(os.killpg, group, signal.SIGINT)


def kill(group: int) -> None:
    """End a group at once."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(group)], capture_output=True, check=False)
    else:
        _send(os.killpg, group, signal.SIGKILL)


def _send(how: Callable[[int, int], None], group: int, number: int) -> None:
    # It may be gone already. On macOS that is a PermissionError where its remains are not collected yet.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        how(group, number)
