"""Under `torch.compile` the same is seen, and the same graphs come out of it."""

from __future__ import annotations

import shutil
import warnings
from collections import Counter

import pytest
import torch
from torch import nn

from clipcheck.verify.claim import Since
from tests.verify.torch_watch import NAMES, claim, clamp_, critic, loss, sgd, train, watching

pytestmark = pytest.mark.frameworks

WATCHED = claim(since=Since.USE)
CPP = pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Own(nn.Sequential):
    """A module whose forward pass is not torch's own: dynamo reads it in one piece."""

    def forward(self, x):
        for layer in self:
            x = layer(x)
        return x


def own_critic() -> nn.Module:
    return Own(*critic())


def whole_model(model: nn.Module, backend: str) -> nn.Module:
    return torch.compile(model, backend=backend, fullgraph=True)


def in_place(model: nn.Module, backend: str) -> nn.Module:
    model.compile(backend=backend, fullgraph=True)
    return model


def graphs_of(make, is_watched: bool) -> tuple[Counter, Counter]:
    """What dynamo counted in a training: graphs and calls in them, and graph breaks."""
    torch._dynamo.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    with watching(WATCHED if is_watched else claim("other")) as run, warnings.catch_warnings():
        warnings.simplefilter("error")
        model = make(own_critic(), "eager")
        run.bind(model)
        train(run, model, sgd(model))
    return Counter(counters["stats"]), Counter(counters["graph_break"])


@pytest.mark.parametrize(
    ("make", "backend"), [(whole_model, "eager"), (in_place, "eager"), pytest.param(whole_model, "inductor", marks=CPP)]
)
def test_compiled_models(make, backend):
    model = make(own_critic(), backend)
    for clip, violated in (clamp_, {}), (lambda model: None, dict.fromkeys(NAMES, 1)):
        clamp_(model)
        with watching(WATCHED) as run:
            run.bind(model)
            train(run, model, sgd(model), clip, updates=3)
        assert run.violated == violated
        assert [(seen.name, seen.looks) for seen in run.seen] == [(name, 3) for name in NAMES]


@pytest.mark.parametrize("make", [whole_model, in_place])
def test_the_graphs_are_those_of_a_run_without_us(make, monkeypatch):
    watched = graphs_of(make, is_watched=True)
    monkeypatch.setattr("tests.verify.torch_watch.install", lambda session: _Nobody())
    assert graphs_of(make, is_watched=False) == watched
    assert watched[0]["unique_graphs"] == 1
    assert not watched[1]


class _Nobody:
    def bind(self, *arguments):
        return False

    def finish(self):
        return []

    def history(self):
        return {}


def test_the_forward_of_a_compiled_model_is_a_use():
    model, generator = critic(), nn.Linear(4, 4)
    compiled = whole_model(model, "eager")
    with watching(WATCHED) as run:
        run.bind(model)
        loss(compiled).backward()
        sgd(model).step()
        compiled(generator(torch.ones(2, 4)))
        clamp_(model)
    assert set(run.violated.values()) == {1}


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam])
def test_compiled_steps_are_seen_and_compute_the_same(make):
    def trained(is_watched: bool) -> list[torch.Tensor]:
        torch._dynamo.reset()
        model = critic()
        optimizer = make(model.parameters(), lr=torch.tensor(2.0))

        @torch.compile(backend="eager")
        def step():
            optimizer.step()

        if is_watched:
            run.bind(model)
        for update in range(3):
            optimizer.zero_grad()
            loss(model).backward()
            step()
            if update != 1:
                clamp_(model)
        return [parameter.detach() for parameter in model.parameters()]

    with watching(WATCHED) as run:
        watched = trained(is_watched=True)
    assert set(run.violated.values()) == {2}
    assert {(seen.updates, seen.looks) for seen in run.seen} == {(3, 3)}
    for one, other in zip(watched, trained(is_watched=False), strict=True):
        assert torch.equal(one, other)


def test_a_whole_training_step_that_is_compiled():
    model = critic()
    optimizer = sgd(model)

    @torch.compile(backend="eager")
    def training_step():
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()

    for clip, violated in (lambda model: None, {1}), (clamp_, set()):
        clamp_(model)
        with watching(WATCHED) as run:
            run.bind(model)
            for _ in range(3):
                training_step()
                clip(model)
        assert {seen.updates for seen in run.seen} == {3}
        assert set(run.violated.values()) == violated
        torch._dynamo.reset()
