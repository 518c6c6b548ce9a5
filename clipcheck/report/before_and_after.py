"""Two runs beside each other: of a script as it is, and as it would be fixed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from clipcheck.report.colour import Paint
from clipcheck.report.table import Cell, table
from clipcheck.report.verdict import (
    bound_of,
    extreme_of,
    promise,
    rest,
    rows_shown,
    sentence,
    shape_of,
    told,
    word_of,
    wrapped,
)
from clipcheck.verify.record import Seen
from clipcheck.verify.trial import Trial
from clipcheck.verify.verdict import Judged

_HEAD = ("parameter", "shape", "bound", "before", "after")


class _Side(Struct, frozen=True):
    """What one run says of a claim; nothing, where that version of the script does not make it."""

    trial: Trial
    judged: Judged | None

    def find(self, name: str, rank: int) -> Seen | None:
        seen = self.judged.seen if self.judged is not None else ()
        return next((own for own in seen if (own.name, own.rank) == (name, rank)), None)

    def cell(self, seen: Seen | None) -> Cell:
        """ "0.0655, violated after update 1"."""
        if seen is None or self.judged is None:
            return ("-", "")
        word, style = word_of(seen, self.judged, self.trial)
        after = f" after update {seen.violated_update}" if seen.violated_update is not None else ""
        return (f"{extreme_of(seen)}, {word}{after}", style)


def before_and_after(
    before: Trial, after: Trial, paint: Paint, width: int, *, every_row: bool = False
) -> Iterator[str]:
    """A table for each claim with what became of each parameter in both runs, then the two verdicts."""
    for sides in _pairs(before, after):
        yield from _claim(sides, paint, width, every_row)
        yield "\n"
    for name, trial in (("before", before), ("after", after)):
        yield paint(name, "label") + "\n"
        yield from (f"  {line}" for line in sentence(trial, paint, width - 2))


def _pairs(before: Trial, after: Trial) -> Iterator[tuple[_Side, _Side]]:
    """The claims that both versions make, then those of one."""
    left = list(after.verdict.claims)
    for judged in before.verdict.claims:
        same = next((other for other in left if _key(other) == _key(judged)), None)
        if same is not None:
            left.remove(same)
        yield _Side(before, judged), _Side(after, same)
    yield from ((_Side(before, None), _Side(after, judged)) for judged in left)


def _key(judged: Judged) -> tuple[object, ...]:
    claim = judged.claim
    return claim.kind, claim.subject, claim.parameters


def _claim(sides: tuple[_Side, _Side], paint: Paint, width: int, every_row: bool) -> Iterator[str]:
    """Told in the words of the newer version that makes it."""
    side = next(side for side in reversed(sides) if side.judged is not None)
    assert side.judged is not None
    headline = f"{promise(side.judged)}: {told(side.judged.claim, side.trial)}"
    yield from (paint(line, "headline") + "\n" for line in wrapped(headline, width))
    rows, left = rows_shown(_seen(sides), every_row)
    if rows:
        yield from table(_HEAD, [_row(seen, sides) for seen in rows], paint)
    yield from rest(left, paint)


def _seen(sides: tuple[_Side, _Side]) -> list[Seen]:
    """Each parameter once: as it was before, where it was seen then."""
    found: dict[tuple[str, int], Seen] = {}
    for side in sides:
        for seen in side.judged.seen if side.judged is not None else ():
            found.setdefault((seen.name, seen.rank), seen)
    return list(found.values())


def _row(seen: Seen, sides: Sequence[_Side]) -> list[Cell]:
    cells = [side.cell(side.find(seen.name, seen.rank)) for side in sides]
    return [(seen.name, ""), (shape_of(seen.shape), ""), (bound_of(seen), ""), *cells]
