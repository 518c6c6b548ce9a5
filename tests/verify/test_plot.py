from __future__ import annotations

import importlib.util
import itertools
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from clipcheck.verify.claim import Claim, Kind
from clipcheck.verify.plot import CannotDrawError, Run, check, draw
from clipcheck.verify.record import Ended, Record, Seen

SVG = "{http://www.w3.org/2000/svg}"
RISING = tuple((update, 0.01 + 0.001 * update) for update in range(1, 41))
BOUNDED = tuple((update, min(0.01, 0.004 * update)) for update in range(1, 41))


def claim(subject: str = "critic", low: float | None = -0.01, high: float | None = 0.01, **more) -> Claim:
    return Claim(more.pop("kind", Kind.WEIGHTS), subject, "`clamp_`", "train.py", 1, low=low, high=high, **more)


def out(update: int, value: float, name: str = "critic.conv1.weight", number: int = 0) -> Seen:
    return Seen(number, name, (3, 3), "float32", "cpu", violated_update=update, violated_value=value)


def run(*claims: Claim, history, seen: tuple[Seen, ...] = ()) -> Run:
    return Run(claims, [Record(Ended.ENOUGH, updates=40, seen=seen, history=history)])


def drawn(folder: Path, *runs: Run) -> str:
    """The picture as SVG text."""
    path = folder / "run.svg"
    draw(path, *runs)
    return path.read_text()


def texts(svg: str) -> list[str]:
    return [re.sub(r"\n\s*", "", "".join(node.itertext())) for node in ET.fromstring(svg).iter(f"{SVG}text")]


def numbers(svg: str) -> list[float]:
    """The ticks."""
    return [float(text) for text in texts(svg) if re.fullmatch(r"[\d.]+", text)]


def test_a_panel_is_headed_by_its_claim_and_its_bound_is_named(tmp_path):
    said = texts(drawn(tmp_path, run(claim(), history={0: BOUNDED})))
    assert "critic: weights in [-0.01, 0.01]" in said
    assert "bound 0.01" in said
    assert {"max |w|", "update"} <= set(said)
    assert not {"before", "after"} & set(said)


@pytest.mark.parametrize(
    ("own", "title"),
    [
        (claim("net", low=None, high=None, norm=1.5, kind=Kind.GRADIENTS), "net: gradients of norm ≤ 1.5"),
        (claim("net", low=-1, high=1, kind=Kind.GRADIENTS), "net: gradients in [-1, 1]"),
        (claim("Squash", low=0, high=6, kind=Kind.OUTPUTS), "Squash: outputs in [0, 6]"),
        (claim("dense", low=0, high=None), "dense: weights ≥ 0"),
        (claim("critic", parameters=("*.weight", "*.bias")), "critic: *.weight, *.bias in [-0.01, 0.01]"),
        (claim("critic", low=None, high=None), "critic: weights"),
    ],
)
def test_titles(tmp_path, own, title):
    assert title in texts(drawn(tmp_path, run(own, history={0: BOUNDED})))


def test_bounds_that_only_the_run_tells(tmp_path):
    own = Seen(0, "dense.kernel", (3,), "float32", "cpu", low=-0.5, high=0.5)
    said = texts(drawn(tmp_path, run(claim("dense", None, None), history={0: BOUNDED}, seen=(own,))))
    assert {"dense: weights in [-0.5, 0.5]", "bound 0.5"} <= set(said)


def test_before_and_after_are_named_at_their_lines(tmp_path):
    before = run(claim(), history={0: RISING}, seen=(out(1, 0.011),))
    said = texts(drawn(tmp_path, before, run(claim(), history={0: BOUNDED})))
    assert said.count("critic: weights in [-0.01, 0.01]") == 1
    assert {"before", "after", "bound 0.01"} <= set(said)


def test_labels_at_the_same_height_are_moved_apart(tmp_path):
    svg = drawn(tmp_path, run(claim(), history={0: BOUNDED}), run(claim(), history={0: BOUNDED}))
    labels = [own for own in ET.fromstring(svg).iter(f"{SVG}text") if own.text in ("before", "after", "bound 0.01")]
    heights = sorted(float(own.attrib["y"]) for own in labels)
    assert len(heights) == 3
    assert all(below - above > 9 for above, below in itertools.pairwise(heights))


def test_the_first_violation_is_told(tmp_path):
    first, later = out(3, -0.0130004), out(7, 0.5, "critic.fc.bias")
    said = texts(drawn(tmp_path, run(claim(), history={0: RISING}, seen=(later, first))))
    assert "out at update 3: -0.013" in said
    assert "critic.conv1.weight" in said
    assert "critic.fc.bias" not in said


def test_what_is_no_number_is_told_too(tmp_path):
    history = {0: (*BOUNDED[:5], (6, math.nan), (7, math.inf))}
    said = texts(drawn(tmp_path, run(claim(), history=history, seen=(out(6, math.nan),))))
    assert "out at update 6: NaN" in said


def test_only_a_wide_range_is_logarithmic(tmp_path):
    wide = {0: tuple((update, 0.01 * 1.3**update) for update in range(1, 30))}
    assert not any("10" in text and "−" in text for text in texts(drawn(tmp_path, run(claim(), history={0: RISING}))))
    assert any("10" in text and "−" in text for text in texts(drawn(tmp_path, run(claim(), history=wide))))


def test_zero_does_not_break_a_logarithmic_scale(tmp_path):
    history = {0: ((1, 0.0), (2, 1e-6), (3, 100.0))}
    assert "critic: weights in [-0.01, 0.01]" in texts(drawn(tmp_path, run(claim(), history=history)))


def test_a_claim_of_which_nothing_was_seen_says_so(tmp_path):
    said = texts(drawn(tmp_path, run(claim(), claim("other"), history={1: BOUNDED})))
    assert said.count("no update was seen") == 1
    assert "other: weights in [-0.01, 0.01]" in said


def test_the_ranks_of_a_run_make_one_line(tmp_path):
    records = [
        Record(Ended.ENOUGH, history={0: ((1, value), (2, value))}, rank=rank) for rank, value in ((0, 5), (1, 9))
    ]
    assert 10 in numbers(drawn(tmp_path, Run([claim(low=-8, high=8)], records)))


def test_a_bitmap_is_written_by_its_suffix(tmp_path):
    draw(tmp_path / "run.PNG", run(claim(), history={0: BOUNDED}))
    assert (tmp_path / "run.PNG").read_bytes().startswith(b"\x89PNG")


def test_the_same_run_gives_the_same_bytes(tmp_path):
    own = run(claim(), history={0: RISING}, seen=(out(1, 0.011),))
    assert drawn(tmp_path, own) == drawn(tmp_path, own)


def test_the_users_own_settings_of_matplotlib_change_nothing(tmp_path, monkeypatch):
    import matplotlib

    own = run(claim(), history={0: RISING})
    before = drawn(tmp_path, own)
    monkeypatch.setitem(matplotlib.rcParams, "lines.linestyle", ":")
    monkeypatch.setitem(matplotlib.rcParams, "axes.facecolor", "black")
    assert drawn(tmp_path, own) == before


def test_only_png_and_svg(tmp_path):
    for name in ("run.pdf", "run"):
        with pytest.raises(CannotDrawError, match=r"\.png or \.svg"):
            check(tmp_path / name)
    with pytest.raises(CannotDrawError, match="not a folder"):
        check(tmp_path / "none" / "run.png")


def test_without_matplotlib_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CannotDrawError, match=r"pip install 'clipcheck\[verify\]'"):
        check(tmp_path / "run.png")


def test_matplotlib_is_imported_to_draw_only():
    code = "import sys, clipcheck.verify.plot; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
