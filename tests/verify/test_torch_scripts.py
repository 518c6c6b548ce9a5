"""Whole scripts, in a process of their own, as users run them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from clipcheck.verify.claim import Claim, Kind, Note, Since
from clipcheck.verify.job import Job
from clipcheck.verify.record import Ended
from clipcheck.verify.run import run
from clipcheck.verify.verdict import Ruling, judge

pytestmark = pytest.mark.frameworks

KERAS_MODELS = dedent("""\
    import keras
    import numpy as np
    import torch


    def critic(name):
        layers = [keras.Input((4,)), keras.layers.Dense(3, name="hidden"), keras.layers.Dense(1, name="out")]
        return keras.Sequential(layers, name=name)


    def train(model, bound):
        optimizer = torch.optim.SGD([variable.value for variable in model.trainable_variables], lr=2.0)
        for _ in range(3):
            optimizer.zero_grad()
            (model(torch.ones(2, 4)) - 1).square().mean().backward()
            optimizer.step()
            with torch.no_grad():
                for variable in model.trainable_variables:
                    variable.value.clamp_(-bound, bound)


    bounded = critic("bounded")
    loose = critic("loose")
    fitted = critic("fitted")
    train(bounded, 0.05)
    train(loose, 9.0)
    fitted.compile(keras.optimizers.SGD(1e-9), "mse")
    fitted.set_weights([weight * 0 for weight in fitted.get_weights()])
    fitted.fit(np.ones((4, 4)), np.ones((4, 1)), verbose=0)
    """)


def watched(script: Path, code: str, names: tuple[str, ...]) -> Job:
    script.write_text(code)
    folder = script.parent / "job"
    folder.mkdir()
    lines = code.splitlines()
    claims = []
    for name in names:
        line = next(number for number, text in enumerate(lines, 1) if text.startswith(f"{name} = "))
        note = Note(str(script), line, 0, True, name)
        claims.append(Claim(Kind.WEIGHTS, name, "", str(script), line, Since.USE, -0.05, 0.05, notes=(note,)))
    return Job(str(script), (), tuple(claims), str(folder), updates=0)


def test_keras_models_that_torch_trains(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    job = watched(tmp_path / "train.py", KERAS_MODELS, ("bounded", "loose", "fitted"))
    outcome = run(job, timeout=120)
    (record,) = outcome.records
    assert (record.ended, record.problems) == (Ended.FINISHED, ()), outcome.output
    rulings = {judged.claim.subject: judged.ruling for judged in judge(job, outcome).claims}
    assert rulings == {"bounded": Ruling.HELD, "loose": Ruling.VIOLATED, "fitted": Ruling.HELD}
    seen = {one.name: one for one in record.seen if one.claim == 1}
    assert set(seen) == {f"loose.{layer}.{name}" for layer in ("hidden", "out") for name in ("kernel", "bias")}
    assert seen["loose.out.bias"].violated_update == 1
    assert seen["loose.out.bias"].updates == 3
    assert len([one for one in record.seen if one.claim == 2]) == 4
