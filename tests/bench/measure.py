"""What one run of a command costs."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """Seconds, and the megabytes of the largest process."""

    wall: float
    cpu: float
    peak: float
    note: str = ""


def measured(command: Sequence[str], cwd: Path, accepted: range, limit: float) -> Cost:
    """One run with its output thrown away. The CPU time is that of all its processes together."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    timer = threading.Timer(limit, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)  # It was waited for here; nothing is left to do for it.
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, _note(process.returncode, accepted))


def median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
        max(cost.peak for cost in costs),
        next((cost.note for cost in costs if cost.note), ""),
    )


def _note(code: int, accepted: range) -> str:
    if code == -signal.SIGKILL:
        return "stopped at the time limit"
    return "" if code in accepted else f"exit code {code}"
