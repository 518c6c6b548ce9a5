"""Runs a job in a child process, and never longer than was asked for."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from clipcheck.verify import child, processes
from clipcheck.verify.folder import JOB, OUTPUT, all_of
from clipcheck.verify.job import Job
from clipcheck.verify.record import Ended, Record
from clipcheck.verify.wire import dumps, record_from

POLL = 0.05
"""Seconds between two looks at the child."""
GRACE = 5.0
"""Seconds that a child has to end after it was told to, again after it was told a second time, and to run its exit
handlers after it has left its record."""
LAUNCHED_GRACE = 30.0
"""The same where torchrun is between: it gives its own processes as long."""

_CHILD = str(Path(next(iter(child.__path__))) / "__main__.py")


class Outcome(Struct, frozen=True):
    """What came of a job.

    records: of each process that was watched, by rank; at least one. output: what the script printed.
    exit_code: of the child; negative for the signal that ended it. seconds: how long it ran.
    """

    records: tuple[Record, ...]
    output: str = ""
    exit_code: int = 0
    seconds: float = 0.0


def run(
    job: Job,
    *,
    python: str = sys.executable,
    timeout: float | None = None,
    nproc: int | None = None,
    told: Callable[[int], None] = lambda updates: None,
) -> Outcome:
    """Runs the script of a job until its end, its updates or its time are over, or Ctrl-C is pressed.

    timeout: in seconds. nproc: through `torchrun`, with so many processes. told: called now and then with the number
    of updates so far. Nothing that the script started is left behind, unless it took pains to get away.
    """
    folder = Path(job.folder)
    (folder / JOB).write_text(dumps(job), encoding="utf-8")
    start = time.monotonic()
    process = processes.start(_command(python, folder, nproc), folder / OUTPUT)
    own = _Child(process, folder, nproc)
    try:
        stopped = own.wait(start + timeout if timeout is not None else None, told)
    finally:
        own.kill()
    return Outcome(
        tuple(_records(folder, nproc or 1, stopped)),
        (folder / OUTPUT).read_text(encoding="utf-8", errors="replace"),
        process.returncode,
        time.monotonic() - start,
    )


def _command(python: str, folder: Path, nproc: int | None) -> list[str]:
    if nproc is None:
        return [python, _CHILD, str(folder)]
    torchrun = [python, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(nproc)]
    return [*torchrun, _CHILD, str(folder)]


class _Child:
    """The running child, with all that belongs to it."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, nproc: int | None) -> None:
        self._process = process
        self._folder = folder
        self._ranks = nproc or 1
        self._grace = GRACE if nproc is None else LAUNCHED_GRACE

    def wait(self, deadline: float | None, told: Callable[[int], None]) -> Ended | None:
        """Until it ends, or has been told to end: then why it was."""
        try:
            if self._has_ended(deadline, told):
                return None
            stopped = Ended.TIMED_OUT
        except KeyboardInterrupt:
            stopped = Ended.INTERRUPTED
        with contextlib.suppress(KeyboardInterrupt):  # Pressed again: no more patience.
            for _ in range(2):
                self._each_group(processes.interrupt)
                if self._has_ended(time.monotonic() + self._grace):
                    break
        return stopped

    def kill(self) -> None:
        """Whatever is left of it."""
        self._each_group(processes.kill)
        self._process.wait()

    def _has_ended(self, deadline: float | None, told: Callable[[int], None] | None = None) -> bool:
        recorded: float | None = None
        while True:
            try:
                self._process.wait(POLL)
            except subprocess.TimeoutExpired:
                now = time.monotonic()
            else:
                return True
            if told is not None:
                told(self._updates())
            if recorded is None and len(all_of(self._folder, "record")) == self._ranks:
                recorded = now
            if (
                recorded is not None and now > recorded + self._grace
            ):  # It has said all, and hangs in its exit handlers.
                return True
            if deadline is not None and now > deadline:
                return False

    def _updates(self) -> int:
        counts = [path.read_text() for path in all_of(self._folder, "progress")]
        return min((int(count or 0) for count in counts), default=0)

    def _each_group(self, what: Callable[[int], None]) -> None:
        for group in self._groups():
            what(group)

    def _groups(self) -> Iterator[int]:
        """Its process group, and those that a launcher gave to its processes."""
        yield self._process.pid
        for path in all_of(self._folder, "pid"):
            with contextlib.suppress(ValueError):
                pid = int(path.read_text())
                if pid != self._process.pid:
                    yield pid


def _records(folder: Path, ranks: int, stopped: Ended | None) -> Iterator[Record]:
    found = {record.rank: record for record in map(_read, all_of(folder, "record"))}
    for rank in sorted({*found, *range(ranks)}):
        record = found.get(rank, Record(Ended.VANISHED, rank=rank))
        was_stopped = record.ended in (Ended.INTERRUPTED, Ended.VANISHED)
        yield replace(record, ended=stopped) if stopped and was_stopped else record


def _read(path: Path) -> Record:
    try:
        return record_from(path.read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError) as error:  # Not whole: the disk was full, or a stranger wrote there.
        problem = f"{path.name} cannot be read: {type(error).__name__}: {error}"
        return Record(Ended.VANISHED, problems=(problem,), rank=int(path.suffix.removeprefix(".")))
