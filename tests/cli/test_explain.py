from __future__ import annotations

import json
from textwrap import dedent

TRAINER = dedent(
    """\
    import torch
    from torch.amp import GradScaler


    class Trainer:
        def __init__(self, model, use_amp):
            self.model = model
            self.optimizer = torch.optim.AdamW(model.parameters())
            self.scaler = GradScaler("cpu")
            self.use_amp = use_amp

        def clip(self):
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)

        def train(self, loader):
            for batch in loader:
                if self.use_amp:
                    self.scaler.scale(self.model(batch)).backward()
                    self.clip()
                    self.scaler.step(self.optimizer)
                else:
                    self.model(batch).backward()
                    self.optimizer.step()
                self.optimizer.zero_grad()


    def finetune(model, optimizer, loader):
        for batch in loader:
            model(batch).backward()
            accumulate_and_step(optimizer)
    """
)


def rows(output: str) -> list[str]:
    """The rows of what happens, without their remarks and their spaces."""
    return [" ".join(line.split()) for line in output.splitlines() if line[4:9].strip()]


def test_each_world_has_its_events_in_the_order_in_which_they_run(clipcheck, project):
    (project / "train.py").write_text(TRAINER)
    result = clipcheck("explain", "train.py:17")
    assert result.exit_code == 0
    assert result.stdout.startswith("train.py:15: Trainer.train()\n  if self.use_amp\n")
    with_amp, without = result.stdout.split("  if not self.use_amp\n")
    assert rows(with_amp)[2:] == [
        "16 for batch in loader …",
        "18 backward self.scaler.scale(self.model(batch)).backward()",
        "13 clip gradients torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)",
        "20 optimizer step self.scaler.step(self.optimizer)",
        "24 zero the gradients self.optimizer.zero_grad()",
    ]
    assert [row.split()[0] for row in rows(without)[:4]] == ["16", "22", "23", "24"]


def test_remarks_say_whose_and_through_what(clipcheck, project):
    (project / "train.py").write_text(TRAINER)
    output = clipcheck("explain", "train.py:15").stdout
    assert "the loss is scaled by `self.scaler`" in output
    assert "of `self.model`; through `self.clip()` (line 19)" in output
    assert "of `self.optimizer`; then 18 or the end" in output
    assert "`self.optimizer` updates the parameters of `self.model`" in output


def test_what_is_not_known_is_said(clipcheck, project):
    (project / "train.py").write_text(TRAINER)
    output = clipcheck("explain", "train.py:29").stdout
    assert output.startswith("train.py:27: finetune()\n")
    assert "30  " in output
    assert "unknown             accumulate_and_step(optimizer)\n" in output
    assert "this file does not show" in output


def test_the_line_asked_for_is_marked(clipcheck, project):
    (project / "train.py").write_text(TRAINER)
    marked = [line for line in clipcheck("explain", "train.py:13").stdout.splitlines() if line.startswith("  >")]
    assert len(marked) == 1
    assert "clip_grad_norm_" in marked[0]


def test_without_a_line_all_steps_are_shown(clipcheck, project):
    (project / "train.py").write_text(TRAINER)
    output = clipcheck("explain", "train.py").stdout
    assert "Trainer.train()" in output
    assert "finetune()" in output


def test_a_place_where_nothing_trains(clipcheck, project):
    (project / "train.py").write_text(TRAINER)
    (project / "data.py").write_text("x = 1\n")
    assert "train.py:1: no training step is seen here" in clipcheck("explain", "train.py:1").stdout
    assert "data.py: no training step is seen here" in clipcheck("explain", "data.py").stdout


def test_a_notebook_is_spoken_of_by_its_cells(clipcheck, project):
    def cell(*lines: str) -> dict[str, object]:
        source = [f"{line}\n" for line in lines]
        return {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source}

    setup = cell("import torch", "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)")
    loop = cell("for x in loader:", "    model(x).backward()", "    optimizer.step()", "    optimizer.zero_grad()")
    notebook = {"cells": [setup, loop], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (project / "train.ipynb").write_text(json.dumps(notebook))
    output = clipcheck("explain", "train.ipynb:2:3").stdout
    assert "  >   2:3    optimizer step      optimizer.step()\n" in output
    assert "2:2    backward" in output


def test_what_cannot_be_read_is_an_error(clipcheck, project):
    (project / "broken.py").write_text("def f(:\n")
    (project / "train.py").write_text(TRAINER)
    for where in ("missing.py", "broken.py", "train.py:900"):
        result = clipcheck("explain", where)
        assert result.exit_code == 2
        assert result.stderr
