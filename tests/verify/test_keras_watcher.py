"""Every update of a Keras model is seen, whoever makes it, and judged by the right bound."""

from __future__ import annotations

import importlib.util
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from clipcheck.verify.claim import Claim, Kind, Since
from clipcheck.verify.record import Ended, Seen
from tests.verify.keras_watch import SCRIPTS, Watched, by_class, by_note, watch

CRITICS, LOOPS = SCRIPTS / "critics.py", SCRIPTS / "loops.py"
WEIGHTS = ["hidden.kernel", "hidden.bias", "score.kernel", "score.bias"]
C = float(np.float32(0.01))
EPOCH = 10
"""Updates of a `fit`."""

pytestmark = pytest.mark.frameworks
needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs jax")
on_tensorflow = pytest.mark.parametrize("backend", ["tensorflow"], indirect=True)
on_jax = pytest.mark.parametrize("backend", [pytest.param("jax", marks=needs_jax)], indirect=True)
on_graphs = pytest.mark.parametrize("backend", ["tensorflow", pytest.param("jax", marks=needs_jax)], indirect=True)


@cache
def claims() -> tuple[Claim, ...]:
    constraints = (
        "Fitted Compiled OnBatch Averaged Half NotFinite Taped TapedByXLA Eager RunEagerly WholeLoop Scaled Several "
        "Stateless"
    )
    rmsprop = "gradient_clipped = compiled(made(), keras.optimizers.RMSprop(0.05, clipvalue=0.01))"
    adam = "norm_clipped = compiled(made(), keras.optimizers.Adam(0.05, global_clipnorm=0.1))"
    projected = "projected = compiled(made(), ClippingSGD(0.5, c=0.02))"
    clips = {
        "by_hand": "for w in by_hand.trainable_weights:",
        "set_back": "set_back.set_weights([np.clip(w, -0.01, 0.01) for w in set_back.get_weights()])",
        "never_set": "clipped = [np.clip(w, -0.01, 0.01) for w in never_set.get_weights()]",
        "once": "once.set_weights([np.clip(w, -0.01, 0.01) for w in once.get_weights()])",
    }
    return (
        *(by_class(name) for name in constraints.split()),
        *(by_class(name, Kind.OUTPUTS, "-self.t", "self.t") for name in ("ClippedLinear", "SoftClipped")),
        by_note(CRITICS, "kernel_only = made(Clip(0.01))", "kernel_only", 0.01),
        by_note(CRITICS, rmsprop, "gradient_clipped", 0.01),
        by_note(CRITICS, rmsprop, "gradient_clipped", 0.01, kind=Kind.GRADIENTS, name="gradients"),
        by_note(CRITICS, adam, "norm_clipped", kind=Kind.GRADIENTS, norm=0.1, name="norm"),
        by_note(CRITICS, adam, "norm_clipped.optimizer", kind=Kind.GRADIENTS, norm=0.05, name="half the norm"),
        by_note(CRITICS, projected, "projected", 0.02, since=Since.USE),
        *(by_note(CRITICS, line, name, 0.01, since=Since.CLIP, after=False) for name, line in clips.items()),
        by_note(CRITICS, "w.assign(ops.clip(w, -0.01, 0.01))", "w", 0.01, since=Since.CLIP, after=False),
        by_note(LOOPS, "critic = made()", "critic", 0.01, since=Since.CLIP),
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Watched]:
    """The runs so far, by backend: each takes some seconds."""
    return {}


@pytest.fixture(params=["tensorflow", "torch", pytest.param("jax", marks=needs_jax)])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(backend: str, runs: dict[str, Watched], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    if backend not in runs:
        runs[backend] = watch(CRITICS, claims(), backend, tmp_path, monkeypatch)
    return runs[backend]


def is_out(seen: Seen) -> bool:
    return seen.violated_update is not None or seen.last_is_out


def held(run: Watched, subject: str, *, updates: int, bound: float = C) -> bool:
    """Whether all weights were looked at after every update and at the end, and were on their bounds but not beyond."""
    seen = run.seen(subject)
    return list(seen) == WEIGHTS and all(
        (one.low, one.high, one.updates, one.looks) == (-bound, bound, updates, updates + 1)
        and max(abs(one.lowest), abs(one.highest)) <= bound
        and not is_out(one)
        for one in seen.values()
    )


def test_constraint_holds_in_fit_and_on_batches(run: Watched) -> None:
    assert held(run, "Fitted", updates=EPOCH)
    assert held(run, "OnBatch", updates=3)
    assert max(one.highest for one in run.seen("Fitted").values()) == C
    assert run.record.ended is Ended.FINISHED


@on_graphs
def test_constraint_holds_where_steps_are_compiled_and_many_to_a_call(run: Watched) -> None:
    assert held(run, "Compiled", updates=EPOCH)


@on_tensorflow
def test_constraint_holds_in_loops_of_tensorflow(run: Watched) -> None:
    for subject in ("Taped", "TapedByXLA", "Eager"):
        assert held(run, subject, updates=4), subject
    assert held(run, "RunEagerly", updates=EPOCH)


@on_tensorflow
def test_no_update_is_lost_in_a_loop_within_the_graph(run: Watched) -> None:
    kernel = run.seen("WholeLoop")["hidden.kernel"]
    assert kernel.updates == 1500
    assert C in (-kernel.lowest, kernel.highest)
    assert not is_out(kernel)


@on_tensorflow
def test_update_that_loss_scaling_skips_is_none(run: Watched) -> None:
    assert held(run, "Scaled", updates=2)


@on_jax
def test_variables_that_no_update_reaches_are_not_judged(run: Watched) -> None:
    for one in run.seen("Stateless").values():
        assert (one.updates, one.looks, one.violated_update, one.last_is_out) == (3, 3, None, False)


@on_tensorflow
def test_each_weight_is_seen_with_its_own_optimizer_of_several(run: Watched) -> None:
    seen = run.seen("Several")
    assert sorted(seen) == sorted(WEIGHTS)
    assert {one.updates for one in seen.values()} == {EPOCH}
    assert not any(map(is_out, seen.values()))


@on_tensorflow
def test_clip_in_a_train_step_holds(run: Watched) -> None:
    seen = run.seen("critic")
    assert list(seen) == WEIGHTS
    assert not any(map(is_out, seen.values()))
    assert {one.looks for one in seen.values()} == {EPOCH}


def test_bound_is_compared_in_the_dtype_of_the_weight(run: Watched) -> None:
    kernel = run.seen("Half")["hidden.kernel"]
    assert (kernel.dtype, kernel.high) == ("bfloat16", 0.010009765625)
    assert kernel.highest == 0.010009765625
    assert not is_out(kernel)


def test_average_of_the_weights_is_caught_at_the_end(run: Watched) -> None:
    kernel = run.seen("Averaged")["hidden.kernel"]
    assert kernel.violated_update == EPOCH
    assert kernel.last_is_out
    assert abs(kernel.violated_value) > C


def test_nan_is_out_of_bounds(run: Watched) -> None:
    kernel = run.seen("NotFinite")["hidden.kernel"]
    assert kernel.violated_update == 2
    assert math.isnan(kernel.violated_value)
    assert math.isnan(kernel.highest)


def test_bias_without_constraint_is_caught(run: Watched) -> None:
    seen = run.seen("kernel_only")
    assert {name: one.violated_update for name, one in seen.items()} == {
        "hidden.kernel": None,
        "hidden.bias": 1,
        "score.kernel": None,
        "score.bias": 1,
    }
    assert abs(seen["hidden.bias"].violated_value) > C
    assert not seen["hidden.kernel"].last_is_out


def test_gradient_clip_does_not_bound_weights(run: Watched) -> None:
    assert {one.violated_update for one in run.seen("gradient_clipped").values()} == {1}


def test_gradients_are_seen_as_the_optimizer_has_clipped_them(run: Watched) -> None:
    (values,) = run.seen("gradients").values()
    assert (values.lowest, values.highest) == (-C, C)
    assert (values.updates, values.looks) == (EPOCH, EPOCH)
    (norm,) = run.seen("norm").values()
    assert norm.norm == 0.1
    assert norm.highest == pytest.approx(0.1)
    assert not is_out(norm)
    (half,) = run.seen("half the norm").values()
    assert half.violated_update == 1
    assert half.violated_value == pytest.approx(0.1)


def test_optimizer_that_clips_after_its_update_holds(run: Watched) -> None:
    bound = float(np.float32(0.02))
    assert held(run, "projected", updates=EPOCH, bound=bound) or {
        one.looks for one in run.seen("projected").values()
    } == {EPOCH}
    assert not any(is_out(one) for one in run.seen("projected").values())
    assert max(one.highest for one in run.seen("projected").values()) == bound


@pytest.mark.parametrize(("subject", "updates"), [("by_hand", 6), ("set_back", 3)])
def test_clip_by_hand_holds_however_many_updates_come_before_it(run: Watched, subject: str, updates: int) -> None:
    seen = run.seen(subject)
    assert list(seen) == WEIGHTS
    assert not any(is_out(one) for one in seen.values())
    assert {(one.updates, one.looks) for one in seen.values()} == {(updates, 3)}


@pytest.mark.parametrize(("subject", "model"), [("OnBatch", "on_batch"), ("w", "by_hand"), ("by_hand", "by_hand")])
def test_weights_have_the_name_of_the_scripts_model_however_they_were_found(
    run: Watched, subject: str, model: str
) -> None:
    (number,) = [number for number, claim in enumerate(run.claims) if claim.subject == subject]
    names = [seen.name for seen in run.record.seen if seen.claim == number]
    assert names == [f"{model}.{name}" for name in WEIGHTS]


def test_clip_that_is_never_set_back_is_caught(run: Watched) -> None:
    assert run.seen("never_set")["hidden.kernel"].violated_update == 1


def test_clip_before_the_training_only_is_caught(run: Watched) -> None:
    kernel = run.seen("once")["hidden.kernel"]
    assert kernel.violated_update == 1
    assert kernel.last_is_out


def test_outputs_of_layers_are_measured(run: Watched) -> None:
    (clipped,) = run.seen("ClippedLinear").values()
    assert (clipped.low, clipped.high) == (-0.5, 0.5)
    assert (clipped.lowest, clipped.highest) == (-0.5, 0.5)
    assert not is_out(clipped)
    (soft,) = run.seen("SoftClipped").values()
    assert soft.highest > 0.25
    assert is_out(soft)


def test_history_has_the_largest_value_of_each_update(run: Watched) -> None:
    number = [claim.subject for claim in run.claims].index("gradient_clipped")
    looks = run.record.history[number]
    assert [update for update, _ in looks] == list(range(1, EPOCH + 1))
    largest = max(max(abs(one.lowest), abs(one.highest)) for one in run.seen("gradient_clipped").values())
    assert max(value for _, value in looks) == largest


def test_device_and_versions_are_told(run: Watched, backend: str) -> None:
    assert run.seen("Fitted")["hidden.kernel"].device.startswith("cpu")
    assert {"keras", backend} <= set(run.record.versions)


@pytest.mark.parametrize("backend", ["tensorflow", "torch"], indirect=True)
def test_watching_changes_nothing(run: Watched, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = watch(CRITICS, (), backend, tmp_path, monkeypatch)
    assert len(alone.printed) > 10
    assert run.printed == alone.printed


@on_tensorflow
def test_run_ends_between_two_calls_when_there_were_updates_enough(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = watch(CRITICS, (by_class("Fitted"),), backend, tmp_path, monkeypatch, updates=4)
    assert ended.record.ended is Ended.ENOUGH
    assert ended.record.updates == 4
    assert held(ended, "Fitted", updates=4)
    assert not ended.printed
