"""Work spread over processes: those of this machine, or those of any `concurrent.futures.Executor`."""

from __future__ import annotations

import os
import pickle
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

T = TypeVar("T")
Batch: TypeAlias = Sequence[str]
Lost: TypeAlias = Callable[[str, Exception], T]
"""What is told of a file that nobody could work on."""

_MOST_ON_WINDOWS = 61  # what Python can wait for there
_AHEAD = 16
"""How many batches wait for each process: enough that none is idle while the oldest is still worked on."""


def available_cores() -> int:
    """How many cores this process may use: those that it is bound to, and what its control groups grant."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(bound, _granted_cores(Path("/")) or bound)


def on_executor(
    work: Callable[[str], T], batches: Iterable[Batch], executor: Executor, *, ahead: int, lost: Lost[T]
) -> Iterator[list[T]]:
    """The results of each batch, in the order of the batches, of which at most `ahead` are on their way at a time.

    What becomes of a batch that fails as a whole, for instance with the machine that it was on: its files are tried
    once more, one by one.
    """
    for batch, future in _sent(work, batches, executor, ahead):
        try:
            yield future.result()
        except Exception:
            yield [_once_more(work, path, executor, lost) for path in batch]


def in_processes(work: Callable[[str], T], batches: Iterable[Batch], count: int, *, lost: Lost[T]) -> Iterator[list[T]]:
    """The results of each batch, in the order of the batches, worked out by processes of this machine.

    A process may die: killed, or out of memory. Then all batches that were on their way are done again, each in a
    process of its own, so that it shows which file it was. Where no process can be started, this one does the work.
    """
    from concurrent.futures.process import BrokenProcessPool

    left = iter(batches)
    while True:
        under_way: deque[Batch] = deque()
        try:
            with _Processes(count) as executor:
                for _, future in _sent(work, _noted(left, under_way), executor, count * _AHEAD):
                    results = future.result()
                    under_way.popleft()
                    yield results
            return
        except _NoProcessesError:
            yield from ([work(path) for path in batch] for batch in left)
            return
        except BrokenProcessPool:
            for batch in under_way:
                yield _alone(work, batch, lost)


def _sent(
    work: Callable[[str], T], batches: Iterable[Batch], executor: Executor, ahead: int
) -> Iterator[tuple[Batch, Future[list[T]]]]:
    """The batches with what will be their results, in their order."""
    packed = pickle.dumps(work)
    waiting: deque[tuple[Batch, Future[list[T]]]] = deque()
    try:
        for batch in batches:
            waiting.append((batch, executor.submit(_done, packed, tuple(batch))))
            if len(waiting) >= ahead:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        for _, future in waiting:
            future.cancel()


def _once_more(work: Callable[[str], T], path: str, executor: Executor, lost: Lost[T]) -> T:
    try:
        results: list[T] = executor.submit(_done, pickle.dumps(work), (path,)).result()
    except Exception as error:
        return lost(path, error)
    return results[0]


def _alone(work: Callable[[str], T], batch: Batch, lost: Lost[T]) -> list[T]:
    """The results of a batch, each file of it in a process of its own if that is what it takes."""
    from concurrent.futures.process import BrokenProcessPool

    try:
        with _Processes(1) as executor:
            results: list[T] = executor.submit(_done, pickle.dumps(work), batch).result()
            return results
    except _NoProcessesError as error:
        return [lost(path, error) for path in batch]
    except BrokenProcessPool as error:
        if len(batch) == 1:
            return [lost(batch[0], error)]
        return [result for path in batch for result in _alone(work, [path], lost)]


def _noted(batches: Iterator[Batch], under_way: deque[Batch]) -> Iterator[Batch]:
    for batch in batches:
        under_way.append(batch)
        yield batch


def _done(packed: bytes, batch: Batch) -> list[Any]:
    work = _work(packed)
    return [work(path) for path in batch]


@lru_cache(maxsize=4)
def _work(packed: bytes) -> Callable[[str], Any]:
    """The work is the same for many batches; each process unpickles it once."""
    work: Callable[[str], Any] = pickle.loads(packed)
    return work


class _NoProcessesError(Exception):
    """The system grants none: there is no shared memory, or a limit is reached."""


class _Processes:
    """A pool of processes that leaves none behind, however it ends."""

    def __init__(self, count: int) -> None:
        self._count = min(count, _MOST_ON_WINDOWS) if sys.platform == "win32" else count

    def __enter__(self) -> Executor:
        """Raises _NoProcessesError."""
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        self._others = set(multiprocessing.active_children())
        context = multiprocessing.get_context(_start_method())
        try:
            self._executor = ProcessPoolExecutor(self._count, mp_context=context, initializer=_settle)
            self._executor.submit(int)  # starts them
        except (OSError, ImportError, NotImplementedError) as error:
            raise _NoProcessesError from error
        return self._executor

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        import multiprocessing

        if kind is not None:  # Nobody waits for their results any more.
            for process in set(multiprocessing.active_children()) - self._others:
                process.kill()
        self._executor.shutdown(cancel_futures=True)


def _start_method() -> str:
    """To fork is ten times as fast, and safe where no other thread can hold a lock (and never on a Mac)."""
    import threading

    return "fork" if sys.platform == "linux" and threading.active_count() == 1 else "spawn"


def _settle() -> None:
    """What a process of the pool does first: leave interrupts to its parent, and see to it that it ends with it."""
    import signal
    import threading
    from multiprocessing import parent_process

    def follow() -> None:
        if parent := parent_process():
            parent.join()
            os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=follow, daemon=True).start()


def _granted_cores(root: Path) -> int | None:
    """The smallest quota of the control groups around this process, in whole cores; None where there is none."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    quotas = [quota for group in groups for folder in _folders(root, group) if (quota := _quota(folder))]
    return min(quotas, default=None)


def _folders(root: Path, group: str) -> Iterator[Path]:
    """Where the settings of a control group are, and those of the groups around it."""
    _, controllers, name = group.split(":", 2)
    mount = root / "sys/fs/cgroup"
    if controllers:  # version 1 has a tree for each controller, version 2 one for all
        if "cpu" not in controllers.split(","):
            return
        mount /= "cpu"
    folder = mount / name.lstrip("/")
    while folder != mount:
        yield folder
        folder = folder.parent
    yield mount


def _quota(folder: Path) -> int | None:
    def numbers(*names: str) -> list[int] | None:
        try:
            return [int(number) for name in names for number in (folder / name).read_text().split()]
        except (OSError, ValueError):  # no such file, or "max": no limit
            return None

    found = numbers("cpu.max") or numbers("cpu.cfs_quota_us", "cpu.cfs_period_us")
    if found is None or found[0] <= 0:  # -1: no limit
        return None
    quota, period = found
    return -(-quota // period)
