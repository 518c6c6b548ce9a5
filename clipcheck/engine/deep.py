"""Room for deep recursion: long sums, chains of calls and of `elif` nest as deep as they are long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_STACK = 512 * 1024 * 1024  # address space; only what is used takes memory
# LibCST takes about six calls for each level: enough for some thousand terms, and for what CPython itself parses.
_RECURSION_LIMIT = 50_000

_here = threading.local()


def with_deep_stack(work: Callable[[], T]) -> T:
    """The result of `work`, done in a thread with a large stack (the main thread's is not ours to choose)."""
    if getattr(_here, "is_deep", False):
        return work()
    results: list[T] = []
    errors: list[BaseException] = []
    limit, stack = sys.getrecursionlimit(), threading.stack_size()
    try:
        threading.stack_size(_STACK)
        thread = threading.Thread(target=_run, args=(work, results, errors), daemon=True)
        sys.setrecursionlimit(max(limit, _RECURSION_LIMIT))
        thread.start()
    except (ValueError, RuntimeError):  # the system grants no such stack
        return work()
    finally:
        threading.stack_size(stack)
    try:
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
    if errors:
        raise errors[0]
    return results[0]


def _run(work: Callable[[], T], results: list[T], errors: list[BaseException]) -> None:
    _here.is_deep = True
    try:
        results.append(work())
    except BaseException as error:
        errors.append(error)
