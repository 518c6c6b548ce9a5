"""The training scripts under `fixtures/`, and what their comments promise.

``# expect: CLP301`` at the end of a line: a finding begins there. Everything else is silent.
``# run: torch`` (or keras, tensorflow): the script, fixed if it can be fixed, runs to its end in that framework.
``# bounded: critic 0.01``: after it ran, all weights that the global `critic` trains are in [-0.01, 0.01]; as it was
written, they are not.
``# clipped: norm 1.0`` (or value 0.5): the gradients that `torch.optim.SGD` applies in each of its steps are the sum of
what the backward passes since the last one made, clipped once; as the script was written, they are not.
``# settings: weight-clip-style = "optimizer"``: what to set in the settings file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "fixtures"

EXPECT = re.compile(r"# expect: ([A-Z]+[0-9]+(?:, [A-Z]+[0-9]+)*)")
_MARK = r"^# {}: (.+)$"


@dataclass(frozen=True)
class Fixture:
    """One training script. Its name is its path below `fixtures/`."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(FIXTURES).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_bytes().decode()

    @property
    def fixed_path(self) -> Path | None:
        """What it must become, if anything."""
        fixed = self.path.with_suffix(f".fixed{self.path.suffix}")
        return fixed if fixed.exists() else None

    @property
    def expected(self) -> list[tuple[int, int, str]]:
        """What must be found: (cell or 0, row, code), in the order of the file."""
        return sorted(
            (cell, row, code)
            for cell, lines in self._cells()
            for row, line in enumerate(lines, start=1)
            for mark in EXPECT.finditer(line)
            for code in mark.group(1).split(", ")
        )

    @property
    def runs_on(self) -> str | None:
        """The framework in which it runs."""
        return self._mark("run")

    @property
    def bounded(self) -> tuple[str, float] | None:
        """The global whose weights stay bounded, and the bound."""
        mark = self._mark("bounded")
        if mark is None:
            return None
        name, bound = mark.split()
        return name, float(bound)

    @property
    def clipped(self) -> tuple[str, float] | None:
        """How the applied gradients are clipped ("norm" or "value"), and the bound."""
        mark = self._mark("clipped")
        if mark is None:
            return None
        by, bound = mark.split()
        return by, float(bound)

    @property
    def settings(self) -> str:
        """TOML to set."""
        return "\n".join(re.findall(_MARK.format("settings"), self.text, re.MULTILINE))

    def _mark(self, word: str) -> str | None:
        found = re.search(_MARK.format(word), self.text, re.MULTILINE)
        return found.group(1).strip() if found else None

    def _cells(self) -> list[tuple[int, list[str]]]:
        if self.path.suffix != ".ipynb":
            return [(0, self.text.splitlines())]
        cells = json.loads(self.text)["cells"]
        return [
            (number, "".join(cell["source"]).splitlines())
            for number, cell in enumerate(cells, start=1)
            if cell["cell_type"] == "code"
        ]


def all_fixtures() -> list[Fixture]:
    paths = [*FIXTURES.rglob("*.py"), *FIXTURES.rglob("*.ipynb")]
    return [Fixture(path) for path in sorted(paths) if ".fixed" not in path.name]
