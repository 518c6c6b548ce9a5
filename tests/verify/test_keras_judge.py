"""What was seen is judged by its bounds, and by when the script clips."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from clipcheck.verify.child.keras_judge import Bounds, ClippedJudge, Judge, Thing, history_of, rounded
from clipcheck.verify.record import Seen

THING = Thing(0, "critic.dense.kernel", (2,), "float32")


def judged(highs: Sequence[float], bounds: Bounds, lows: Sequence[float] | None = None) -> Seen:
    """What a judge says who looked at these after updates 1, 2 …"""
    judge = Judge(THING, bounds)
    judge.look(np.arange(1, len(highs) + 1), np.array(highs if lows is None else lows), np.array(highs))
    return judge.seen("cpu")


def clipped(values: Sequence[float], clips: Sequence[int], batch: int = 100) -> Seen:
    """What is said of values after updates 1, 2 …, where a clip to 1 has run before some of the looks.

    clips: the updates after which it ran. batch: so many looks are fetched at a time.
    """
    judge = ClippedJudge(Judge(THING, Bounds(-1.0, 1.0)))
    updates, seen = np.arange(1, len(values) + 1), np.array(values)
    armed = np.isin(updates, clips)
    for start in range(0, len(values), batch):
        part = slice(start, start + batch)
        judge.look(updates[part], seen[part], seen[part], armed[part])
    judge.close()
    return judge.judge.seen("cpu")


def test_bounds_are_within_bounds() -> None:
    seen = judged([0.5, 1.0], Bounds(-1.0, 1.0), lows=[-1.0, 0.0])
    assert seen.violated_update is None
    assert (seen.lowest, seen.highest, seen.extreme_update, seen.looks) == (-1.0, 1.0, 1, 2)


def test_first_violation_is_told_and_the_worst_is_the_extreme() -> None:
    seen = judged([0.0, 0.0, 3.0, 0.0], Bounds(-1.0, 1.0), lows=[0.0, -2.0, 0.0, 0.0])
    assert (seen.violated_update, seen.violated_value) == (2, -2.0)
    assert (seen.extreme_update, seen.highest) == (3, 3.0)
    assert not seen.last_is_out


def test_last_look_out_of_bounds_is_told() -> None:
    assert judged([0.0, 2.0], Bounds(-1.0, 1.0)).last_is_out


def test_nan_is_out_of_bounds_and_stays_the_extreme() -> None:
    seen = judged([0.0, math.nan, 9.0], Bounds(-1.0, 1.0))
    assert (seen.violated_update, seen.extreme_update) == (2, 2)
    assert math.isnan(seen.violated_value)
    assert math.isnan(seen.highest)


def test_open_side_bounds_nothing() -> None:
    seen = judged([1e30, math.inf], rounded(0.0, None, "float32"), lows=[0.0, 0.0])
    assert seen.violated_update is None
    assert (seen.low, seen.high) == (0.0, None)


def test_norm_may_miss_its_bound_by_the_rounding() -> None:
    bounds = Bounds(high=0.1, slack=1e-4, is_norm=True)
    assert judged([0.1000001], bounds).violated_update is None
    seen = judged([0.1001], bounds)
    assert (seen.violated_update, seen.norm, seen.low, seen.high) == (1, 0.1, None, None)


@pytest.mark.parametrize(
    ("dtype", "high"), [("float64", 0.01), ("float32", float(np.float32(0.01))), ("bfloat16", 0.010009765625)]
)
def test_bounds_are_rounded_as_the_dtype_has_them(dtype: str, high: float) -> None:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    assert rounded(-0.01, 0.01, dtype) == Bounds(-high, high)


def test_bound_beyond_the_dtype_bounds_nothing() -> None:
    assert rounded(None, 1e6, "float16").high == math.inf


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_updates_between_two_clips_do_not_count(batch: int) -> None:
    seen = clipped([9.0, 1.0, 9.0, 1.0, 9.0, 1.0], clips=[2, 4, 6], batch=batch)
    # The first update came before any clip, and is as far from the first clip as from the next.
    assert seen.last_is_out is False
    assert seen.looks >= 3


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_clip_without_effect_is_caught_where_it_should_have_had_one(batch: int) -> None:
    seen = clipped([1.0, 5.0, 1.0, 5.0, 7.0], clips=[1, 3, 5], batch=batch)
    assert (seen.violated_update, seen.violated_value) == (5, 7.0)


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_clip_that_stops_is_missed_when_it_is_due(batch: int) -> None:
    seen = clipped([1.0, 5.0, 1.0, 5.0, 6.0, 7.0], clips=[1, 3], batch=batch)
    assert (seen.violated_update, seen.violated_value) == (5, 6.0)


def test_run_that_ends_between_two_clips_proves_no_violation() -> None:
    assert clipped([1.0, 5.0, 1.0, 5.0], clips=[1, 3]).violated_update is None


def test_every_look_counts_where_no_clip_is_known() -> None:
    assert clipped([0.5, 5.0, 0.5], clips=[]).violated_update == 2


def test_history_has_the_largest_of_all_weights() -> None:
    judges = [Judge(THING, Bounds(-1.0, 1.0)) for _ in range(2)]
    judges[0].look(np.array([1, 2]), np.array([-3.0, 0.0]), np.array([0.0, 1.0]))
    judges[1].look(np.array([2, 3]), np.array([0.0, 0.0]), np.array([2.0, 4.0]))
    assert history_of((7, judge) for judge in judges) == {7: [(1, 3.0), (2, 2.0), (3, 4.0)]}
