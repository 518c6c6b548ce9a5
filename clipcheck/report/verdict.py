"""What `clipcheck verify` tells: what was watched, how far it went, and the verdict in a sentence."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from clipcheck.report.colour import Paint
from clipcheck.report.numbers import interval, number
from clipcheck.report.summary import counted
from clipcheck.report.table import Cell, table
from clipcheck.verify.claim import Claim, Kind
from clipcheck.verify.record import Ended, Seen
from clipcheck.verify.trial import Trial
from clipcheck.verify.verdict import Judged, Ruling, farthest, is_out

STYLES = {Ruling.HELD: "safe", Ruling.VIOLATED: "primary", Ruling.INCONCLUSIVE: "unsafe"}
ROWS = 10
"""How many parameters of a claim are shown that held, unless all are asked for."""

_HEAD = ("parameter", "shape", "device", "bound", "extreme", "at update", "verdict")


def full(trial: Trial, paint: Paint, width: int, *, every_row: bool = False) -> Iterator[str]:
    """A table for each claim, then the verdict."""
    for judged in trial.verdict.claims:
        yield from _claim(judged, trial, paint, width, every_row)
        yield "\n"
    yield from sentence(trial, paint, width)


def sentence(trial: Trial, paint: Paint, width: int) -> Iterator[str]:
    """The verdict for somebody who reads nothing else."""
    verdict = trial.verdict
    lead = f"{verdict.ruling.value}: "
    lines = wrapped(lead + message(trial), width)
    yield paint(lead[:-1], STYLES[verdict.ruling]) + lines[0][len(lead) - 1 :] + "\n"
    yield from (f"{line}\n" for line in lines[1:])
    for hint in verdict.hints:
        yield from (f"{line}\n" for line in wrapped(f"hint: {hint}", width))


def message(trial: Trial) -> str:
    """Why the verdict is what it is, in whole sentences."""
    first, *others = _sentences(trial)
    return " ".join(f"{text}." for text in [first, *(text[:1].upper() + text[1:] for text in others)])


def _claim(judged: Judged, trial: Trial, paint: Paint, width: int, every_row: bool) -> Iterator[str]:
    claim = judged.claim
    headline = f"{promise(judged)}: {told(claim, trial)}"
    yield from (paint(line, "headline") + "\n" for line in wrapped(headline, width))
    if judged.reason:
        yield f"  {paint(judged.ruling.value, STYLES[judged.ruling])}: {judged.reason}\n"
    shown, left = rows_shown(judged.seen, every_row)
    if shown:
        with_rank = len(trial.outcome.records) > 1
        head = [*_HEAD[:1], "rank", *_HEAD[1:]] if with_rank else _HEAD
        yield from table(head, [_row(seen, judged, trial, with_rank) for seen in shown], paint)
    yield from rest(left, paint)


def rows_shown(seen: Sequence[Seen], every_row: bool) -> tuple[list[Seen], list[Seen]]:
    """What is shown, what is out of bounds first, and what is not shown."""
    ordered = sorted(seen, key=_interest)
    out = sum(map(is_out, seen))
    limit = len(seen) if every_row or len(seen) - out <= ROWS else max(out, ROWS - 1)
    return ordered[:limit], ordered[limit:]


def rest(left: Sequence[Seen], paint: Paint) -> Iterator[str]:
    """A line about what is not shown, if there is any."""
    stayed = sum(1 for seen in left if seen.looks)
    parts = [(stayed, "that stayed in bounds"), (len(left) - stayed, "that were never seen")]
    told = " and ".join(f"{count} more {what}" for count, what in parts if count)
    if told:
        yield paint(f"  … and {told} (all with -v)", "faint") + "\n"


def _interest(seen: Seen) -> int:
    """What is out of bounds, what should have been seen and was not, what was seen, what nobody trains."""
    if is_out(seen):
        return 0
    return 2 if seen.looks else 1 if seen.updates else 3


def _row(seen: Seen, judged: Judged, trial: Trial, with_rank: bool) -> list[Cell]:
    word, style = word_of(seen, judged, trial)
    value = extreme_of(seen)
    at = seen.extreme_update
    rank: list[Cell] = [(str(seen.rank), "")] if with_rank else []
    return [
        (seen.name, ""),
        *rank,
        (shape_of(seen.shape), ""),
        (seen.device, ""),
        (bound_of(seen), ""),
        (value, style if is_out(seen) else ""),
        ("-" if at is None else str(at), ""),
        (word, style),
    ]


def word_of(seen: Seen, judged: Judged, trial: Trial) -> tuple[str, str]:
    """A row's verdict: where the run proves nothing, a row that stayed within does not either."""
    if is_out(seen):
        return Ruling.VIOLATED.value, STYLES[Ruling.VIOLATED]
    if not seen.looks:
        return "not seen", STYLES[Ruling.INCONCLUSIVE]
    if Ruling.INCONCLUSIVE in (judged.ruling, trial.verdict.ruling) or not _is_whole(trial.verdict.ended):
        return "held so far", STYLES[Ruling.INCONCLUSIVE]
    return Ruling.HELD.value, STYLES[Ruling.HELD]


def _is_whole(ended: Ended) -> bool:
    return ended in (Ended.FINISHED, Ended.ENOUGH)


def promise(judged: Judged, *, past: bool = False) -> str:
    """ "the weights of `critic` stay in [-0.01, 0.01]"."""
    claim = judged.claim
    low, high, norm = _bounds(judged)
    is_one = claim.kind is Kind.OUTPUTS
    stay, have = ("stayed", "had") if past else ("stays", "has") if is_one else ("stay", "have")
    if norm is not None:
        return f"{_of_what(claim)} {have} a norm of at most {number(norm)}"
    bound = interval(low, high) or "in bounds"
    return f"{_of_what(claim)} {stay} {'in ' if bound.startswith('[') else ''}{bound}"


def _of_what(claim: Claim) -> str:
    if claim.kind is Kind.WEIGHTS:
        return f"the weights of `{claim.subject}`"
    if claim.kind is Kind.GRADIENTS:
        return f"the gradients that reach `{claim.subject}`"
    if claim.kind is Kind.RELOADED:
        return f"the weights of `{claim.subject}`, loaded by a fresh process,"
    return f"what `{claim.subject}` returns"


def _bounds(judged: Judged) -> tuple[float | None, float | None, float | None]:
    """Those of the run, where all that was seen has the same ones; else those that the claim has."""
    seen = {(one.low, one.high, one.norm) for one in judged.seen}
    claim = judged.claim
    return seen.pop() if len(seen) == 1 else (claim.low, claim.high, claim.norm)


def told(claim: Claim, trial: Trial) -> str:
    """Who says so: "`p.data.clamp_(-c, c)` in train.py:45"."""
    if claim.kind is Kind.RELOADED:
        return "its constraints when it was saved"
    if not claim.line:
        return f"`{claim.told}`"
    path, position = trial.position(claim)
    cell = f"cell {position.cell}:" if position.cell is not None else ""
    return f"{_quoted(claim.told)} in {path}:{cell}{position.row}"


def _quoted(words: str) -> str:
    return words if words.startswith("`") else f"`{words}`"


def _sentences(trial: Trial) -> Iterator[str]:
    """The sentences of the verdict."""
    verdict = trial.verdict
    by_ruling = {ruling: [one for one in verdict.claims if one.ruling is ruling] for ruling in Ruling}
    if verdict.ruling is Ruling.HELD:
        yield from (_held(judged, trial) for judged in verdict.claims)
    for judged in by_ruling[Ruling.VIOLATED]:
        yield _violated(judged, trial)
    yield from verdict.reasons
    if _is_whole(verdict.ended) and not verdict.reasons:
        yield from (judged.reason for judged in by_ruling[Ruling.INCONCLUSIVE])
    if verdict.ruling is Ruling.INCONCLUSIVE:
        is_partly = _is_whole(verdict.ended) and not verdict.reasons and by_ruling[Ruling.HELD]
        yield "so not all of its claims are proved" if is_partly else "so nothing is proved"


def _held(judged: Judged, trial: Trial) -> str:
    updates = max((seen.updates for seen in judged.seen), default=0)
    during = f"during {counted(updates, 'update')}" if updates else "whenever they were used"
    return f"{promise(judged, past=True)}{_of_how_many(judged)} {during} ({told(judged.claim, trial)})"


def _of_how_many(judged: Judged) -> str:
    names = {seen.name for seen in judged.seen}
    if judged.claim.kind is not Kind.WEIGHTS or len(names) == 1:
        return ""
    return f", {'both' if len(names) == 2 else f'all {len(names)}'} of them,"


def _violated(judged: Judged, trial: Trial) -> str:
    worst = judged.worst
    assert worst is not None
    if worst.error is not None:
        return f"`{worst.name}` cannot be loaded by a fresh process: {worst.error.rstrip('.')}"
    more = len({seen.name for seen in judged.seen if is_out(seen)}) - 1
    others = f", and {counted(more, 'other')} left {'its' if more == 1 else 'their'} bounds too" if more else ""
    they = "they are" if judged.claim.kind is Kind.GRADIENTS else "it is"
    why = f"{they} to {_must(worst)} because of {told(judged.claim, trial)}"
    return f"{_what_was(judged.claim.kind, worst)} {_when(judged.claim.kind, worst)}{others}: {why}"


def _what_was(kind: Kind, seen: Seen) -> str:
    value = _value_out(seen)
    if kind is Kind.WEIGHTS:
        return f"`{seen.name}` ({shape_of(seen.shape)}, {seen.device}) was {value}"
    if kind is Kind.OUTPUTS:
        return f"`{seen.name}` returned {value}"
    if kind is Kind.RELOADED:
        return f"`{seen.name}` was {value}"
    return f"the gradients of `{seen.name}` had {'a norm of' if seen.norm is not None else 'an entry of'} {value}"


def _when(kind: Kind, seen: Seen) -> str:
    if kind is Kind.RELOADED:
        return "when it was trained on in a fresh process"
    if seen.violated_update is None:
        return "at the end of the run"
    if seen.violated_update == 0:
        return "before the first update"
    return f"{'at' if kind is Kind.GRADIENTS else 'after'} update {seen.violated_update}"


def _value_out(seen: Seen) -> str:
    value = farthest(seen) if seen.violated_value is None else seen.violated_value
    return number(value, _nearest(seen, value))


def _must(seen: Seen) -> str:
    if seen.norm is not None:
        return f"have a norm of at most {number(seen.norm)}"
    bound = interval(seen.low, seen.high)
    return f"stay in {bound}" if bound.startswith("[") else f"be {bound}"


def bound_of(seen: Seen) -> str:
    return f"norm at most {number(seen.norm)}" if seen.norm is not None else interval(seen.low, seen.high) or "-"


def extreme_of(seen: Seen) -> str:
    value = farthest(seen)
    return number(value, _nearest(seen, value) if is_out(seen) else None)


def _nearest(seen: Seen, value: float | None) -> float | None:
    """The bound that a value lies beside."""
    bounds = [bound for bound in (seen.low, seen.high, seen.norm) if bound is not None]
    return min(bounds, key=lambda bound: abs(bound - value), default=None) if value is not None else None


def shape_of(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "scalar"


def wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
