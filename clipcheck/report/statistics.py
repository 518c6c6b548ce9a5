"""How often each rule spoke."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from clipcheck.report.given import Report


class Row(Struct, frozen=True):
    code: str
    name: str
    count: int
    fixable: int

    @property
    def mark(self) -> str:
        """ruff's signs: all of them fixable, some, none."""
        if self.fixable == 0:
            return "[ ]"
        return "[*]" if self.fixable == self.count else "[-]"


def statistics(report: Report) -> Iterator[str]:
    rows = _rows(report)
    width = max((len(str(row.count)) for row in rows), default=0)
    code_width = max((len(row.code) for row in rows), default=0)
    for row in rows:
        code = report.paint(row.code.ljust(code_width), "code")
        yield f"{row.count:>{width}}  {code}  {row.mark} {row.name}\n"


def statistics_json(report: Report) -> Iterator[str]:
    import json

    listed = [
        {
            "code": row.code,
            "name": row.name,
            "count": row.count,
            "fixable": row.fixable == row.count,
            "fixable_count": row.fixable,
        }
        for row in _rows(report)
    ]
    yield json.dumps(listed, indent=2) + "\n"


def _rows(report: Report) -> list[Row]:
    names = {found.code: found.name for found in report.diagnostics}
    counts = Counter(found.code for found in report.diagnostics)
    fixable = Counter(found.code for found in report.diagnostics if report.is_fixed_by_default(found))
    rows = [Row(code, names[code], count, fixable[code]) for code, count in counts.items()]
    return sorted(rows, key=lambda row: (-row.count, row.code))
