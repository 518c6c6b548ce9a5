"""From a training script to its verdict, with nothing but its path."""

from __future__ import annotations

import json
import textwrap

import pytest
from click.testing import CliRunner

from clipcheck.cli.main import cli

pytestmark = pytest.mark.frameworks

HEAD = """\
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(2, 8)
        self.score = nn.Linear(8, 1)

    def forward(self, x):
        return self.score(torch.relu(self.hidden(x)))


def clip_weights(model, limit):
    for p in model.parameters():
        p.data.clamp_(-limit, limit)


"""
TRAIN = """\
if __name__ == "__main__":
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(64, 2))
    loader = DataLoader(data, batch_size=4, **LOADING)
    critic = Critic()
    optimizer = torch.optim.RMSprop(critic.parameters(), lr=0.05)
    for (x,) in loader:
        BEFORE
        loss = critic(torch.randn(4, 2)).mean() - critic(x).mean()
        optimizer.zero_grad()
        loss.backward()
        BETWEEN
        optimizer.step()
        AFTER
"""
WATCH = ("--watch", "critic", "--bound", "0.01")


@pytest.fixture
def verified(tmp_path, monkeypatch):
    """Runs a training script with something put in; what its verdict is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def verify(*options: str, before="pass", between="pass", after="pass", loading="{}", expect: int):
        code = TRAIN.replace("**LOADING", f"**{loading}")
        for word, statement in {"BEFORE": before, "BETWEEN": between, "AFTER": after}.items():
            code = code.replace(word, textwrap.indent(statement, " " * 8).strip())
        (tmp_path / "train.py").write_text(HEAD + code)
        result = CliRunner().invoke(cli, ["verify", "train.py", "--output-format", "json", *options])
        assert result.exit_code == expect, result.output
        return json.loads(result.stdout)

    return verify


def test_a_clamp_after_the_step_holds(verified):
    """With workers that import the script again, and a bound that only the run tells."""
    loading = "{'num_workers': 1, 'multiprocessing_context': 'spawn'}"
    found = verified("--updates", "10", after="clip_weights(critic, 0.01)", loading=loading, expect=0)
    assert (found["ended"], found["updates"]) == ("enough", 10)
    (claim,) = found["claims"]
    names = [one["name"] for one in claim["parameters"]]
    assert [name.partition(".")[2] for name in names] == ["hidden.weight", "hidden.bias", "score.weight", "score.bias"]
    assert all(one["looks"] >= 9 and one["device"] == "cpu" for one in claim["parameters"])
    assert claim["parameters"][0]["highest"] == pytest.approx(0.01)


def test_a_clamp_before_the_step_is_violated(verified):
    found = verified(between="clip_weights(critic, 0.01)", expect=1)
    weight = found["claims"][0]["parameters"][0]
    assert (weight["violated_update"], weight["verdict"]) == (1, "violated")
    # RMSprop's first step is lr / sqrt(1 - alpha) = 0.5, beyond the clip's 0.01.
    assert abs(weight["violated_value"]) == pytest.approx(0.51, rel=1e-3)


def test_a_clip_of_gradients_does_not_bound_what_is_watched(verified):
    clip = "nn.utils.clip_grad_value_(critic.parameters(), 0.01)"
    found = verified("--watch", "critic.score.*", "--bound", "0.01", between=clip, expect=1)
    assert [one["name"] for one in found["claims"][0]["parameters"]] == ["critic.score.weight", "critic.score.bias"]


def test_a_script_without_updates_proves_nothing(verified):
    found = verified(*WATCH, before="clip_weights(critic, 0.01)\ncontinue", expect=2)
    assert found["ended"] == "finished"
    assert found["claims"][0]["verdict"] == "inconclusive"
    assert "`critic`" in found["claims"][0]["reason"]
