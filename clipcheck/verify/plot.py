"""A picture of a run: the largest absolute value of what was watched against the updates, and its bound."""

from __future__ import annotations

import importlib.util
import math
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from clipcheck.verify.claim import Claim, Kind
from clipcheck.verify.record import Record, Seen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")

# Okabe and Ito's colours, told apart with every kind of colour blindness, and in grey.
_BEFORE, _AFTER, _BOUND, _TEXT, _FAINT = "#D55E00", "#0072B2", "#000000", "#333333", "#666666"
_WIDTH, _HEIGHT = 6.6, 2.7
"""Of one panel, in inches."""
_DECADES_FOR_LOG = 2.0
_LABEL_GAP = 11.0
"""The least distance of two labels, in points."""
_NOTE_WIDTH, _NOTE_HEIGHT, _NOTE_PLACES = 0.42, 0.22, (0.94, 0.72, 0.5, 0.3)
"""How much of a panel the words at a violation take at most, and where their upper edge may be."""
_STYLE = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.labelcolor": _TEXT,
    "axes.titlesize": 11.0,
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "figure.constrained_layout.h_pad": 0.12,
    "figure.constrained_layout.w_pad": 0.12,
    "svg.fonttype": "none",  # Text stays text: it can be searched, and read aloud.
    "svg.hashsalt": "clipcheck",
}


class CannotDrawError(ValueError):
    """The picture cannot be drawn, and why."""


class Run(Struct, frozen=True):
    """What there is to draw of one version of a script: its claims, and what the processes of its run recorded."""

    claims: Sequence[Claim]
    records: Sequence[Record]


def check(path: Path) -> None:
    """Raises CannotDrawError. To be asked before a script is run for a picture."""
    if path.suffix.lower() not in SUFFIXES:
        raise CannotDrawError(f"'{path}': a picture is written as {' or '.join(SUFFIXES)}")
    if not path.absolute().parent.is_dir():
        raise CannotDrawError(f"'{path.parent}' is not a folder")
    if importlib.util.find_spec("matplotlib") is None:
        raise CannotDrawError("a picture needs matplotlib: pip install 'clipcheck[verify]'")


def draw(path: Path, before: Run, after: Run | None = None) -> None:
    """One panel for each claim. Raises CannotDrawError, and OSError where the file cannot be written.

    after: the fixed version's run, drawn over that of the script as it is.
    """
    check(path)
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = _panels(before, after)
    columns = 1 if len(panels) <= 3 else 2
    rows = max(1, math.ceil(len(panels) / columns))
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE}):
        figure = Figure(figsize=(columns * _WIDTH, rows * _HEIGHT), dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for place, panel in zip(axes, panels, strict=False):
            _draw_panel(place, panel)
        for place in axes[len(panels) :]:
            place.set_axis_off()
        figure.draw_without_rendering()
        for place, panel in zip(axes, panels, strict=False):
            _label(place, panel)
        _save(figure, path)


class _Line(Struct, frozen=True):
    """The largest absolute value at each update, of one claim in one run. out: what left its bounds first."""

    name: str
    colour: str
    points: Sequence[tuple[int, float]]
    out: Seen | None

    @property
    def finite(self) -> list[float]:
        return [value for _, value in self.points if math.isfinite(value)]


class _Panel(Struct, frozen=True):
    title: str
    axis: str
    bound: float | None
    lines: Sequence[_Line]

    @property
    def is_log(self) -> bool:
        """Whether the values, and the bound, spread over so many decades that the small ones would not be seen."""
        values = [value for line in self.lines for value in line.finite if value > 0]
        values += [self.bound] if self.bound else []
        return bool(values) and math.log10(max(values) / min(values)) > _DECADES_FOR_LOG


def _panels(before: Run, after: Run | None) -> list[_Panel]:
    """The claims of the first run, then those that only the second has."""
    if after is None:
        return [_panel(own, [_line(before, number, "", _AFTER)]) for number, own in enumerate(_bounded(before))]
    left = dict(enumerate(_bounded(after)))
    panels = []
    for number, claim in enumerate(_bounded(before)):
        lines = [_line(before, number, "before", _BEFORE)]
        same = next((other for other, own in left.items() if _key(own) == _key(claim)), None)
        if same is not None:
            lines.append(_line(after, same, "after", _AFTER))
            claim = left.pop(same)
        panels.append(_panel(claim, lines))
    return [*panels, *(_panel(own, [_line(after, number, "after", _AFTER)]) for number, own in left.items())]


def _key(claim: Claim) -> tuple[object, ...]:
    return claim.kind, claim.subject, claim.parameters


def _bounded(run: Run) -> Iterator[Claim]:
    """The claims; where only the run tells the bounds, with those."""
    for number, claim in enumerate(run.claims):
        seen = next((own for record in run.records for own in record.seen if own.claim == number), None)
        is_open = (claim.low, claim.high, claim.norm) == (None, None, None)
        yield replace(claim, low=seen.low, high=seen.high, norm=seen.norm) if is_open and seen else claim


def _line(run: Run, number: int, name: str, colour: str) -> _Line:
    largest: dict[int, float] = {}
    for record in run.records:
        for update, value in record.history.get(number, ()):
            largest[update] = _worse(largest.get(update, 0.0), value)
    seen = [own for record in run.records for own in record.seen if own.claim == number]
    out = min((own for own in seen if own.violated_update is not None), key=_first_out, default=None)
    return _Line(name, colour, sorted(largest.items()), out)


def _worse(one: float, other: float) -> float:
    return math.nan if math.isnan(one) or math.isnan(other) else max(one, other)


def _first_out(seen: Seen) -> tuple[int, float]:
    return seen.violated_update or 0, -abs(seen.violated_value or 0.0)


def _panel(claim: Claim, lines: Sequence[_Line]) -> _Panel:
    return _Panel(_title(claim), _axis(claim), _farthest(claim), lines)


def _title(claim: Claim) -> str:
    what = {Kind.WEIGHTS: "weights", Kind.GRADIENTS: "gradients", Kind.OUTPUTS: "outputs", Kind.RELOADED: "weights"}[
        claim.kind
    ]
    if claim.parameters:
        what = f"{', '.join(claim.parameters)}"
    return f"{claim.subject}: {what} {_range(claim)}".rstrip()


def _range(claim: Claim) -> str:
    if claim.norm is not None:
        return f"of norm ≤ {claim.norm:g}"
    if claim.low is not None and claim.high is not None:
        return f"in [{claim.low:g}, {claim.high:g}]"
    if claim.low is not None:
        return f"≥ {claim.low:g}"
    return f"≤ {claim.high:g}" if claim.high is not None else ""


def _axis(claim: Claim) -> str:
    if claim.norm is not None:
        return "norm of the gradients"
    return {
        Kind.WEIGHTS: "max |w|",
        Kind.GRADIENTS: "max |gradient|",
        Kind.OUTPUTS: "max |output|",
        Kind.RELOADED: "max |w|",
    }[claim.kind]


def _farthest(claim: Claim) -> float | None:
    """The bound of an absolute value; None where one side is open, since no absolute value tells then."""
    if claim.norm is not None:
        return claim.norm
    if claim.low is None or claim.high is None:
        return None
    return max(abs(claim.low), abs(claim.high))


def _draw_panel(axes: Axes, panel: _Panel) -> None:
    axes.set_title("\n".join(textwrap.wrap(panel.title, 76)), color=_TEXT, fontweight="bold")
    axes.set_ylabel(panel.axis)
    axes.set_xlabel("update")
    axes.grid(axis="y", color="#E5E5E5", linewidth=0.7)
    axes.set_axisbelow(True)
    if not any(line.points for line in panel.lines):
        _say_nothing_was_seen(axes)
        return
    _scale(axes, panel)
    if panel.bound is not None:
        top = axes.get_ylim()[1]
        axes.axhspan(panel.bound, top, color=_BEFORE, alpha=0.07, linewidth=0)
    for line in panel.lines:
        _draw_line(axes, line)
    if panel.bound is not None:
        axes.plot(axes.get_xlim(), [panel.bound] * 2, color=_BOUND, linewidth=1.0, linestyle=(0, (5, 3)), zorder=4)
    for line in panel.lines:
        if line.out is not None:
            _mark_the_first_out(axes, line, line.out)


def _say_nothing_was_seen(axes: Axes) -> None:
    axes.text(0.5, 0.5, "no update was seen", transform=axes.transAxes, ha="center", va="center", color=_FAINT)
    axes.set_xticks([])
    axes.set_yticks([])


def _scale(axes: Axes, panel: _Panel) -> None:
    """Limits with room for the bound; fixed, so that the area beyond the bound reaches to the edge."""
    from matplotlib.ticker import MaxNLocator

    updates = [update for line in panel.lines for update, _ in line.points]
    values = [value for line in panel.lines for value in line.finite] or [1.0]
    values += [panel.bound] if panel.bound is not None else []
    if panel.is_log:
        axes.set_yscale("log")
        axes.set_ylim(min(value for value in values if value > 0) / 1.6, max(values) * 2.2)
    else:
        axes.set_ylim(0.0, (max(values) or 1.0) * 1.22)
    last = max(updates)
    axes.set_xlim(min(*updates, 0) if last else -0.5, last or 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9, steps=[1, 2, 5, 10]))


def _draw_line(axes: Axes, line: _Line) -> None:
    updates, values = zip(*line.points, strict=True) if line.points else ((), ())
    marker = "o" if len(updates) == 1 else None
    axes.plot(updates, values, color=line.colour, linewidth=1.8, marker=marker, markersize=4, solid_joinstyle="round")


def _mark_the_first_out(axes: Axes, line: _Line, out: Seen) -> None:
    update, told = out.violated_update or 0, out.violated_value or 0.0
    value = abs(told)
    top = axes.get_ylim()[1]
    height = value if math.isfinite(value) and value < top else top
    axes.plot([update], [height], "o", markersize=6.5, markerfacecolor="white", markeredgewidth=1.8, clip_on=False,
              color=line.colour, zorder=6)  # fmt: skip
    left, height_of_note = _free_place(axes, (update, height))
    axes.annotate(
        "\n".join(
            [f"out at update {update}: {'NaN' if math.isnan(told) else f'{told:.4g}'}", *textwrap.wrap(out.name, 40)]
        ),
        (update, height),
        xytext=(0.03 if left else 0.97, height_of_note),
        textcoords="axes fraction",
        ha="left" if left else "right",
        va="top",
        color=_TEXT,
        fontsize=8.0,
        arrowprops={"arrowstyle": "-", "color": _FAINT, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 4},
        zorder=7,
    )


def _free_place(axes: Axes, marked: tuple[float, float]) -> tuple[bool, float]:
    """Whether on the left, and with its upper edge at which height: where the words hide least of the lines, and of
    such places the nearest."""
    import numpy as np

    to_fraction = axes.transData + axes.transAxes.inverted()
    along = np.linspace(0.0, 1.0, 101)
    lines: Any = axes.lines
    drawn = [to_fraction.transform(line.get_xydata()) for line in lines]
    heights = [np.interp(along, points[:, 0], points[:, 1], left=np.nan, right=np.nan) for points in drawn]
    x, y = to_fraction.transform(marked)

    def cost(place: tuple[bool, float]) -> tuple[int, float]:
        left, top = place
        under = along < _NOTE_WIDTH if left else along > 1 - _NOTE_WIDTH
        hidden = sum(int((under & (own < top + 0.03) & (own > top - _NOTE_HEIGHT)).sum()) for own in heights)
        return hidden, math.hypot(x - (0.2 if left else 0.8), y - top)

    return min(((left, top) for top in _NOTE_PLACES for left in (True, False)), key=cost)


def _label(axes: Axes, panel: _Panel) -> None:
    """The names of the lines at their right ends, moved apart where they would overlap."""
    if not any(line.points for line in panel.lines):
        return
    wanted = [(line.finite[-1], line.name, line.colour) for line in panel.lines if line.name and line.finite]
    if panel.bound is not None:
        wanted.append((panel.bound, f"bound {panel.bound:g}", _BOUND))
    x = axes.get_xlim()[1]
    scale = 72.0 / axes.figure.dpi
    heights = [axes.transData.transform((x, value))[1] * scale for value, _, _ in wanted]
    for (value, text, colour), height, free in zip(wanted, heights, _spread(heights), strict=True):
        axes.annotate(text, (x, value), xytext=(7, free - height), textcoords="offset points", va="center",
                      color=colour, annotation_clip=False)  # fmt: skip


def _spread(heights: Sequence[float]) -> list[float]:
    """The heights, moved up and down just so far that they keep their distance, in the same order."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed: list[float] = []
    for index in order:
        lowest = placed[-1] + _LABEL_GAP if placed else -math.inf
        placed.append(max(heights[index], lowest))
    shift = sum(place - heights[index] for place, index in zip(placed, order, strict=True)) / max(1, len(order))
    by_index = dict(zip(order, (place - shift for place in placed), strict=True))
    return [by_index[index] for index in range(len(heights))]


def _save(figure: Figure, path: Path) -> None:
    """The same picture gives the same bytes."""
    kind = path.suffix.lower().removeprefix(".")
    figure.savefig(path, format=kind, facecolor="white", metadata={"Date": None} if kind == "svg" else None)
