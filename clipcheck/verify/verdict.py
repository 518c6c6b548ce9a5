"""Judges what was seen: held, violated, or inconclusive. Inconclusive is never a pass."""

from __future__ import annotations

import enum
import math
import re
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from clipcheck.verify.claim import Claim, Kind, Since
from clipcheck.verify.job import Job
from clipcheck.verify.record import Ended, Record, Seen
from clipcheck.verify.run import Outcome


class Ruling(str, enum.Enum):
    HELD = "held"
    VIOLATED = "violated"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> int:
        return list(Ruling).index(self)


class Judged(Struct, frozen=True):
    """One claim's part of the verdict.

    seen: what was seen of it. reason: why it is inconclusive.
    """

    claim: Claim
    ruling: Ruling
    seen: tuple[Seen, ...] = ()
    reason: str = ""

    @property
    def worst(self) -> Seen | None:
        """What left its bounds first; None if nothing did."""
        out = [seen for seen in self.seen if is_out(seen)]
        return min(out, key=_first_update, default=None)


class Verdict(Struct, frozen=True):
    """The verdict on one run of a script.

    claims: in the order of the job. reasons: why the run as a whole proves nothing, or less than it might; whole
    clauses. hints: what the user can do about it. updates: how many were seen (of the process that saw the fewest).
    """

    ruling: Ruling
    claims: tuple[Judged, ...]
    ended: Ended
    updates: int
    reasons: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def is_failure(self) -> bool:
        """Whether what the script printed may tell why nothing is proved."""
        return self.ended in (Ended.CRASHED, Ended.VANISHED, Ended.TIMED_OUT)


def line_of(path: str, line: int) -> str:
    """What to call a line of a file."""
    return f"line {line} of {path}"


def judge(job: Job, outcome: Outcome, place: Callable[[str, int], str] = line_of) -> Verdict:
    """Violated if any claim is; else inconclusive if any is, if there is none, or if the run ended too soon to tell.

    place: what to call a line of a file.
    """
    records = outcome.records
    ended = _ended(records)
    claims = tuple(_judged(number, claim, job, records, place) for number, claim in enumerate(job.claims))
    reasons = tuple(_reasons(job, outcome, ended))
    rulings = {judged.ruling for judged in claims}
    if Ruling.VIOLATED in rulings:
        ruling = Ruling.VIOLATED
    elif not claims or Ruling.INCONCLUSIVE in rulings or any(_proves_nothing(record) for record in records):
        ruling = Ruling.INCONCLUSIVE
    else:
        ruling = Ruling.HELD
    updates = min(record.updates for record in records)
    return Verdict(ruling, claims, ended, updates, reasons, tuple(_hints(job, outcome, claims)))


def is_out(seen: Seen) -> bool:
    """Whether it left its bounds, or is a saved model that nobody can have back."""
    if seen.error is not None:
        return True
    return seen.violated_update is not None or seen.last_is_out or _is_nan(seen.lowest) or _is_nan(seen.highest)


def farthest(seen: Seen) -> float | None:
    """The extreme that lies farthest out, or nearest to the bound; None if it was never compared."""
    if seen.lowest is None or seen.highest is None:
        return None
    if _is_nan(seen.lowest) or _is_nan(seen.highest):
        return math.nan
    low, high = (-math.inf if seen.low is None else seen.low), (math.inf if seen.high is None else seen.high)
    if math.isinf(low) and math.isinf(high):
        return max(seen.lowest, seen.highest, key=abs)
    return seen.lowest if low - seen.lowest > seen.highest - high else seen.highest


def _judged(number: int, claim: Claim, job: Job, records: Sequence[Record], place: Callable[[str, int], str]) -> Judged:
    seen = tuple(_without_strangers(seen for record in records for seen in record.seen if seen.claim == number))
    if any(map(is_out, seen)):
        return Judged(claim, Ruling.VIOLATED, seen)
    is_bound = any(number in record.bound for record in records)
    if seen or is_bound:
        reason = _missing(claim, seen) or _elsewhere(job.device, seen)
    elif any(number in record.reached for record in records):
        reason = f"`{claim.subject}` is no model, layer, parameter or optimizer that can be watched"
    else:
        reason = _never_ran(claim, job, records, place)
    return Judged(claim, Ruling.INCONCLUSIVE if reason else Ruling.HELD, seen, reason)


def _never_ran(claim: Claim, job: Job, records: Sequence[Record], place: Callable[[str, int], str]) -> str:
    """Why nothing that a claim is about was found, where no note of it ran."""
    if not claim.notes:
        return f"`{claim.subject}` was never made, or never trained"
    if not claim.line:
        return f"nothing was ever assigned to `{claim.subject}`"
    note = claim.notes[0]
    where = place(claim.path, claim.line) if claim.since is Since.CLIP else place(note.path, note.line)
    ran = "never ran with these arguments" if job.arguments else "never ran"
    if any(record.has_processes for record in records):
        ran += " in the process that was watched"
    if _ended(records) is Ended.ENOUGH:
        ran += f" within {min(record.updates for record in records)} updates"
    if any("tensorflow" in record.versions for record in records):
        ran += " (or in a graph of TensorFlow only, where that is not seen)"
    return f"{where} {ran}, so its claim about `{claim.subject}` could not be judged"


def _without_strangers(seen: Iterable[Seen]) -> Iterator[Seen]:
    """What a framework's watcher never looked at, where that of another did: a Keras model is a torch module too."""
    every = list(seen)
    looked = {(one.rank, one.name) for one in every if one.looks}
    yield from (one for one in every if one.looks or (one.rank, one.name) not in looked)


def _missing(claim: Claim, seen: Sequence[Seen]) -> str:
    """What the run lacks to prove a claim whose object was found; "" if it lacks nothing."""
    if not seen:
        return f"nothing of `{claim.subject}` was updated"
    if not any(one.looks for one in seen):
        return f"`{claim.subject}` was never seen in use after an update"
    if claim.kind is not Kind.OUTPUTS and not any(one.updates for one in seen):
        return f"no update of `{claim.subject}` was seen"
    unseen = next((one for one in seen if one.updates and not one.looks), None)
    return f"`{unseen.name}` was never seen in use after its updates" if unseen else ""


def _elsewhere(demanded: str | None, seen: Sequence[Seen]) -> str:
    wrong = [one for one in seen if demanded is not None and not _is_on(demanded, one.device)]
    return f"`{wrong[0].name}` is on {wrong[0].device}, not on {demanded}" if wrong else ""


def _is_on(demanded: str, device: str) -> bool:
    """Whether a device is the demanded one: "cuda" is any of them. TensorFlow says "/…/device:GPU:0", jax "gpu"."""
    want, have = (_device(name) for name in (demanded, device))
    return want[0] == have[0] and want[1] in (None, have[1] or "0")


def _device(name: str) -> tuple[str, str | None]:
    kind, _, index = name.lower().rpartition("device:")[2].partition(":")
    return {"gpu": "cuda"}.get(kind, kind), index or None


_WORST_END = (
    Ended.NOT_STARTED,
    Ended.VANISHED,
    Ended.CRASHED,
    Ended.TIMED_OUT,
    Ended.INTERRUPTED,
    Ended.ENOUGH,
    Ended.FINISHED,
)


def _ended(records: Sequence[Record]) -> Ended:
    """Of several processes: as the one that fared worst."""
    return min((record.ended for record in records), key=_WORST_END.index)


def _proves_nothing(record: Record) -> bool:
    """A run that somebody ended by Ctrl-C holds for as long as it went; one that failed or hung proves nothing."""
    return record.ended in (Ended.VANISHED, Ended.CRASHED, Ended.TIMED_OUT) or bool(record.problems)


def _reasons(job: Job, outcome: Outcome, ended: Ended) -> Iterator[str]:
    if not job.claims:
        yield "there is nothing to verify: the script does not say that it bounds anything"
    updates = min(record.updates for record in outcome.records)
    after = f"after {updates} update{'' if updates == 1 else 's'}" if updates else "before its first update was seen"
    if ended is Ended.CRASHED:
        yield f"the script crashed {after}: {_last_line(outcome.records)}"
    elif ended is Ended.VANISHED:
        yield f"the script's process ended without a word{_by_what(outcome.exit_code)}"
    elif ended is Ended.TIMED_OUT:
        yield f"the time for the script was over {after}"
    elif ended is Ended.INTERRUPTED:
        yield f"the script was interrupted {after}"
    for record in outcome.records:
        yield from (f"clipcheck's own watching failed: {_last(problem)}" for problem in record.problems)


def _last_line(records: Sequence[Record]) -> str:
    return next((_last(record.error) for record in records if record.error), "without a message")


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""


def _by_what(exit_code: int) -> str:
    if exit_code >= 0:
        return f" (exit code {exit_code})"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    return f" ({name}: out of memory?)" if name == "SIGKILL" else f" ({name})"


_NO_NETWORK = re.compile(
    r"URL fetch failure|URLError|HTTPError|ConnectionError|gaierror|Name or service not known|name resolution"
    r"|Dataset not found|Network is unreachable|MaxRetryError|LocalEntryNotFoundError"
)
_MISSING = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")


def _hints(job: Job, outcome: Outcome, claims: Sequence[Judged]) -> Iterator[str]:
    errors = "\n".join(record.error or "" for record in outcome.records)
    if not job.fake_data and _NO_NETWORK.search(errors):
        yield "with --fake-data the loaders of standard datasets return random data, and nothing is downloaded"
    if missing := _MISSING.search(errors):
        yield f"the script needs `{missing[1]}`, which is not installed for the Python that runs clipcheck"
    if not job.claims:
        yield "say what is to stay bounded: --watch critic --bound 0.01"
    without_updates = any(judged.ruling is Ruling.INCONCLUSIVE and not _updates(judged) for judged in claims)
    if without_updates and any(record.has_processes for record in outcome.records):
        yield (
            "updates in processes that the script starts itself are not seen: "
            "have --nproc N start them instead, through torchrun"
        )


def _updates(judged: Judged) -> int:
    return max((seen.updates for seen in judged.seen), default=0)


def _first_update(seen: Seen) -> float:
    return math.inf if seen.violated_update is None else seen.violated_update


def _is_nan(value: float | None) -> bool:
    return value is not None and math.isnan(value)
