"""One watched run: which claims wait for their live objects, which watchers there are, when it is enough."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from msgspec import Struct

from clipcheck.verify.claim import Claim
from clipcheck.verify.job import Job
from clipcheck.verify.record import Seen


class EnoughError(BaseException):
    """The updates that were asked for were seen. Not an Exception: the script must not catch it by accident."""


class Limits(Struct, frozen=True):
    """The bounds of a claim as the run has them; None on an open side."""

    low: float | None = None
    high: float | None = None
    norm: float | None = None


class Watcher(Protocol):
    """Sees what one framework does. It is installed before the script makes its first object of that framework."""

    def bind(self, number: int, claim: Claim, subject: object, limits: Limits) -> bool:
        """Watch a live object (a model, a parameter, an optimizer, a layer) for a claim; False if it is not one of this
        framework's. Called again and again with the same object, it costs next to nothing. For a claim since CLIP it
        is called when the clip is about to run, or has just run."""
        ...

    def finish(self) -> Iterable[Seen]:
        """Look a last time, where the script came to its own end (`Session.is_at_end`: else it may have been stopped
        between a step and its clip), and tell what was seen."""
        ...

    def history(self) -> dict[int, list[tuple[int, float]]]:
        """For each claim: at each look the update and the largest absolute value (or norm)."""
        ...

    def versions(self) -> dict[str, str]:
        """The versions of the framework and of what it runs on."""
        ...


class Session:
    """The run of one job.

    told: called with the number of updates after each one (for the progress bar).
    leave: ends the process at once, when the script goes on although there were updates enough.
    reached: the claims of which a note ran. bound: those for which a live object was found.
    saved: the paths of the models that the script has saved and that were kept.
    has_processes: the script has started processes of its own, which nobody watches.
    is_at_end: the script has run to its end, and nothing of it runs any more.
    """

    def __init__(
        self,
        job: Job,
        told: Callable[[int], None] = lambda updates: None,
        leave: Callable[[], None] = lambda: None,
    ) -> None:
        self.job = job
        self.watchers: list[Watcher] = []
        self.reached: set[int] = set()
        self.bound: set[int] = set()
        self.updates = 0
        self.problems: list[str] = []
        self.saved: list[str] = []
        self.has_processes = False
        self.is_at_end = False
        self.is_enough = False
        self._told = told
        self._leave = leave

    def note(self, number: int) -> Callable[..., None]:
        """A note of a claim runs: it calls the result with what its expressions give, unless one of them fails."""
        self.reached.add(number)
        return partial(self.bind, number)

    def bind(self, number: int, subject: object, low: object = None, high: object = None, norm: object = None) -> None:
        """Here is a live object of a claim, and these are its bounds.

        low, high, norm: None where the bound is the one that the claim has.
        """
        claim = self.job.claims[number]
        limits = Limits(_number(low, claim.low), _number(high, claim.high), _number(norm, claim.norm))
        for watcher in self.watchers:
            try:
                is_bound = watcher.bind(number, claim, subject, limits)
            except Exception:
                self.failed(f"watching `{claim.subject}`")
            else:
                if is_bound:
                    self.bound.add(number)

    def updated(self, times: int = 1) -> None:
        """A watcher saw updates of something that is watched. Raises EnoughError when they are all that was asked for;
        a watcher calls it where its framework bears an exception, and after it has looked."""
        if self.is_enough:
            self._leave()
        # Of updates that are seen together some may be more than enough.
        limit = self.job.updates or math.inf
        self.updates = int(min(self.updates + times, limit))
        self._told(self.updates)
        if self.updates == limit:
            self.is_enough = True
            raise EnoughError

    def updated_last(self, times: int) -> None:
        """As the run ends, there were more updates: they count, unless it ends because there were enough."""
        if not self.is_enough:
            self.updates += times

    def failed(self, doing: str) -> None:
        """Called in an `except`: our own code failed. The script goes on, and the verdict will be inconclusive."""
        problem = f"{doing} failed: {traceback.format_exc().strip()}"
        if problem not in self.problems:
            self.problems.append(problem)


def _number(value: object, otherwise: float | None) -> float | None:
    if value is None or isinstance(value, bool):
        return otherwise
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        return otherwise
