"""The watcher stands beside the script: it changes nothing of what is computed, and does not wait for the device."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, parametrizations
from torch.utils.flop_counter import FlopCounterMode

from clipcheck.verify.claim import Claim, Kind
from tests.verify.torch_watch import claim, clamp_, critic, loss, on_each_device, sgd, train, watching

pytestmark = pytest.mark.frameworks

CLAIMS = (
    claim(),
    Claim(Kind.GRADIENTS, "critic", "", "train.py", 1, norm=0.1),
    Claim(Kind.GRADIENTS, "critic", "", "train.py", 1, low=-0.1, high=0.1),
    Claim(Kind.OUTPUTS, "critic", "", "train.py", 1, low=-1.0, high=1.0),
)


def stochastic_training(run, device: str, updates: int = 5) -> list[torch.Tensor]:
    """Everything that could notice: dropout, spectral norm's buffers, momentum, autocast, versions, random numbers."""
    torch.manual_seed(3)
    body = parametrizations.spectral_norm(nn.Linear(4, 8))
    model = nn.Sequential(body, nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(updates):
        optimizer.zero_grad()
        with torch.autocast(device, dtype=torch.bfloat16):
            value = model(torch.randn(6, 4, device=device)).float().square().mean()
        value.backward()
        for number in range(len(CLAIMS)) if run else ():
            run.bind(model, number)
        clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        clamp_(model)
    versions = torch.tensor([parameter._version for parameter in model.parameters()])
    state = [value.clone() for value in model.state_dict().values()]
    moments = [value for state in optimizer.state.values() for value in state.values()]
    return [*state, *moments, versions, torch.rand(3, device=device)]


@on_each_device
def test_training_is_the_same_to_the_last_bit(device):
    with watching(*CLAIMS) as run:
        watched = stochastic_training(run, device)
    assert {seen.claim for seen in run.seen} == {0, 1, 2, 3}
    alone = stochastic_training(None, device)
    assert len(watched) == len(alone) > 20
    for one, other in zip(watched, alone, strict=True):
        assert torch.equal(one, other)


@on_each_device
def test_nothing_waits_for_the_device_before_the_end(monkeypatch, device):
    model = critic(device)
    optimizer = sgd(model, foreach=True) if device == "cuda" else sgd(model)
    waits: list[str] = []

    def training():
        for _ in range(4):
            optimizer.zero_grad()
            loss(model).backward()
            for number in range(len(CLAIMS)):
                run.bind(model, number)
            optimizer.step()
            clamp_(model)

    with watching(*CLAIMS) as run:
        training()
        for name in ("item", "tolist", "__bool__", "__float__", "__int__", "cpu", "numpy"):
            original = getattr(torch.Tensor, name)
            counted = _counted(original, waits)
            monkeypatch.setattr(torch.Tensor, name, counted)
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("error")
        try:
            training()
        finally:
            if device == "cuda":
                torch.cuda.set_sync_debug_mode("default")
        assert waits == []
    assert waits != []
    assert len(run.seen) == 10


def _counted(original, waits):
    def method(tensor, *arguments, **keywords):
        waits.append(original.__name__)
        return original(tensor, *arguments, **keywords)

    return method


def test_the_scripts_modes_are_left_as_they_are():
    model = critic()
    with watching(claim()) as run:
        for mode in (torch.inference_mode, torch.no_grad, torch.enable_grad):
            train(run, model, sgd(model), updates=1)
            with mode():
                before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
                model(torch.ones(1, 4))
                assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
    assert run.violated == {}
    assert {seen.looks for seen in run.seen} == {3}


def test_modes_that_watch_the_scripts_operations_do_not_see_ours():
    def flops(run):
        model = critic()
        with FlopCounterMode(display=False) as counter, torch.device("cpu"):
            train(run, model, sgd(model))
        return counter.get_total_flops()

    with watching(claim()) as run:
        watched = flops(run)
    assert {seen.looks for seen in run.seen} == {4}
    with watching(claim(subject="other")) as run:
        assert flops(run) == watched


def test_what_is_traced_or_transformed_has_nothing_of_ours_in_it():
    model = critic()
    x = torch.ones(2, 4)
    with watching(claim()) as run:
        train(run, model, sgd(model), updates=2)
        graph = torch.jit.trace(model, x).graph
        parameters = dict(model.named_parameters())
        torch.func.grad(lambda p: torch.func.functional_call(model, p, x).sum())(parameters)
        torch.vmap(model)(x)
        exported = torch.fx.symbolic_trace(model)
    assert "aminmax" not in str(graph)
    assert len(list(exported.graph.nodes)) == 5
    assert run.violated == {}


def test_threads_that_train_different_models():
    import threading

    with watching(*(claim(str(number)) for number in range(3))) as run:

        def work(number):
            model = critic()
            optimizer = sgd(model)
            for _ in range(3):
                optimizer.zero_grad()
                loss(model).backward()
                optimizer.step()
                run.bind(model, number)
                clamp_(model)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert run.violated == {}
    assert {(seen.claim, seen.updates) for seen in run.seen} == {(number, 3) for number in range(3)}


def test_a_bug_of_ours_does_not_reach_the_script(monkeypatch):
    from clipcheck.verify.child.torch_looks import Looks

    def fails(looks, label):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(Looks, "look", fails)
    model = critic()
    with pytest.raises(AssertionError, match="ours"), watching(claim(), is_at_end=False) as run:
        train(run, model, sgd(model))
    assert len(run.seen) == 4
