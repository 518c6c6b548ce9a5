"""Gradients and outputs under watch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from clipcheck.verify.claim import Claim, Kind
from tests.verify.torch_watch import NAMES, critic, loss, on_each_device, sgd, watching

pytestmark = pytest.mark.frameworks

NORM = 0.01
VALUE = 0.003


def bounded(**bounds) -> Claim:
    return Claim(Kind.GRADIENTS, "critic", "", "train.py", 1, **bounds)


NORM_CLAIM = bounded(norm=NORM)
VALUE_CLAIM = bounded(low=-VALUE, high=VALUE)


def by_norm(model: nn.Module) -> None:
    clip_grad_norm_(model.parameters(), NORM)


def by_value(model: nn.Module) -> None:
    clip_grad_value_(model.parameters(), VALUE)


CLIPS = pytest.mark.parametrize(("clip", "claim"), [(by_norm, NORM_CLAIM), (by_value, VALUE_CLAIM)])


def total_norm(model: nn.Module) -> float:
    return math.sqrt(sum(parameter.grad.double().square().sum().item() for parameter in model.parameters()))


@CLIPS
@on_each_device
def test_a_clip_between_backward_and_step_holds(clip, claim, device):
    model = critic(device)
    optimizer = sgd(model)
    with watching(claim) as run:
        for _ in range(3):
            optimizer.zero_grad()
            loss(model).backward()
            run.bind(model)
            clip(model)
            optimizer.step()
    assert run.violated == {}
    assert {(seen.updates, seen.looks) for seen in run.seen} == {(3, 3)}
    assert run.session.updates == 3
    assert {seen.name for seen in run.seen} == ({"critic"} if claim.norm else set(NAMES))


@CLIPS
def test_a_clip_after_the_step_is_violated(clip, claim):
    model = critic()
    optimizer = sgd(model)
    with watching(claim) as run:
        for _ in range(3):
            optimizer.zero_grad()
            loss(model).backward()
            optimizer.step()
            run.bind(model)
            clip(model)
    assert set(run.violated.values()) == {2}


def test_the_norm_is_that_of_all_gradients():
    model = critic()
    optimizer = sgd(model, lr=1e-3)
    norms = []
    with watching(NORM_CLAIM) as run:
        for _ in range(3):
            optimizer.zero_grad()
            loss(model).backward()
            run.bind(model)
            norms.append(total_norm(model))
            optimizer.step()
    (seen,) = run.seen
    assert run.history[0] == [(update, pytest.approx(norm)) for update, norm in enumerate(norms, 1)]
    assert (seen.violated_update, seen.norm) == (1, NORM)
    assert seen.violated_value == pytest.approx(norms[0])
    assert seen.highest == pytest.approx(max(norms))
    assert seen.lowest == pytest.approx(min(norms))


def test_clipping_once_is_not_clipping_each_time():
    model = critic()
    optimizer = sgd(model)
    with watching(NORM_CLAIM) as run:
        for update in range(1, 5):
            optimizer.zero_grad()
            loss(model).backward()
            if update != 3:
                run.bind(model.parameters())
                by_norm(model)
            optimizer.step()
    assert run.violated == {"critic": 3}
    assert not run.seen[0].last_is_out


def test_each_optimizer_is_judged_by_its_own_gradients():
    """The generator's backward pass fills the critic's gradients, too; nobody uses those."""
    model, generator = critic(), nn.Linear(4, 4)
    own, other = sgd(model), sgd(generator)
    with watching(NORM_CLAIM) as run:
        for _ in range(2):
            own.zero_grad()
            loss(model).backward()
            run.bind(model)
            by_norm(model)
            own.step()
            other.zero_grad()
            (1e3 * model(generator(torch.ones(2, 4))).square().mean()).backward()
            other.step()
    assert run.violated == {}
    assert [seen.looks for seen in run.seen] == [2]


def test_an_optimizer_may_be_what_is_clipped():
    model = critic()
    optimizer = sgd(model)
    with watching(NORM_CLAIM) as run:
        loss(model).backward()
        run.bind(optimizer)
        optimizer.step()
    assert run.violated == {"critic": 1}


@pytest.mark.parametrize("is_clipped", [True, False])
def test_closures_are_judged_by_what_they_leave_behind(is_clipped):
    model = critic()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=2)

    def closure():
        optimizer.zero_grad()
        value = loss(model)
        value.backward()
        run.bind(model)
        if is_clipped:
            by_norm(model)
        return value

    with watching(NORM_CLAIM) as run:
        for _ in range(2):
            optimizer.step(closure)
    assert run.violated == ({} if is_clipped else {"critic": 1})
    assert [seen.looks for seen in run.seen] == [2]


@pytest.mark.parametrize("fused", [False, True])
@CLIPS
@on_each_device
def test_under_a_scaler_the_unscaled_gradients_are_judged(clip, claim, fused, device):
    for is_unscaled in True, False:
        model = critic(device)
        optimizer = torch.optim.Adam(model.parameters(), fused=fused)
        scaler = torch.amp.GradScaler(device, init_scale=1024.0)
        with watching(claim) as run:
            for update in range(3):
                optimizer.zero_grad()
                scaler.scale(loss(model) * (math.nan if update == 1 else 1.0)).backward()
                if is_unscaled:
                    scaler.unscale_(optimizer)
                run.bind(model)
                clip(model)
                scaler.step(optimizer)
                scaler.update()
        assert run.violated == {}  # clipped too early they are far too small
        assert {seen.updates for seen in run.seen} == {2}
        largest = max(seen.highest for seen in run.seen)
        assert largest > VALUE / 2 if is_unscaled else largest < VALUE / 100


def test_a_fused_step_unscales_by_itself():
    model = critic()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with watching(NORM_CLAIM) as run:
        scaler.scale(loss(model)).backward()
        run.bind(model)
        norm = total_norm(model)
        scaler.step(optimizer)
    assert run.seen[0].highest == pytest.approx(norm / 1024)


def test_sparse_gradients():
    model = nn.Embedding(10, 2, sparse=True)
    optimizer = torch.optim.SparseAdam(model.parameters())
    with watching(NORM_CLAIM, bounded(low=-1.5, high=1.5)) as run:
        model(torch.tensor([1, 1, 3])).sum().backward()
        run.bind(model, 0)
        run.bind(model, 1)
        optimizer.step()
    assert [seen.highest for seen in run.seen] == [pytest.approx(math.sqrt(2 * 4 + 2)), 2.0]


def test_gradients_that_are_not_there_are_none():
    model = critic()
    model[2].requires_grad_(False)
    optimizer = sgd(model)
    with watching(VALUE_CLAIM) as run:
        loss(model).backward()
        run.bind(model)
        optimizer.step()
    assert run.by_name["critic.2.weight"].highest == 0.0
    assert run.by_name["critic.0.bias"].highest > 0.0 or run.by_name["critic.0.bias"].lowest < 0.0


# Outputs.


class Clipped(nn.Module):
    def __init__(self, bound: float = 1.0, is_right: bool = True) -> None:
        super().__init__()
        self.bound, self.is_right = bound, is_right

    def forward(self, x):
        return {"clipped": x.clamp(-self.bound, self.bound) if self.is_right else x.clamp(min=-self.bound)}


OUTPUTS = Claim(Kind.OUTPUTS, "Clipped", "", "train.py", 1, low=-1.0, high=1.0)


@pytest.mark.parametrize("is_right", [True, False])
@pytest.mark.parametrize("by_class", [True, False])
@on_each_device
def test_what_a_module_returns(is_right, by_class, device):
    clipped, other = Clipped(is_right=is_right), nn.Hardtanh(-7.0, 7.0)
    model = critic(device)
    optimizer = sgd(model, lr=0.0)
    with watching(OUTPUTS) as run:
        run.bind(Clipped if by_class else clipped)
        for update in range(3):
            hidden = model[0](torch.ones(2, 4, device=device))
            value = clipped(hidden + update * torch.tensor([-5.0, 0.0, 5.0], device=device))["clipped"]
            other(value * 9).sum().backward()
            optimizer.step()
    (seen,) = run.seen
    assert (seen.name, seen.looks, seen.updates) == ("Clipped", 3, 2)
    assert run.violated == ({} if is_right else {"Clipped": 1})
    if is_right:
        assert (seen.lowest, seen.highest) == (-1.0, 1.0)


def test_outputs_within_rounding_of_their_bound_hold():
    class Smooth(nn.Module):
        def forward(self, x):
            return 0.7 * torch.tanh(x) * (1 + 2e-7)

    with watching(OUTPUTS) as run:
        module = Smooth()
        run.bind(module, low=-0.7, high=0.7)
        module(torch.full((3,), 50.0))
        module(torch.full((3,), -50.0, dtype=torch.bfloat16))
    assert run.violated == {}
    assert {seen.dtype for seen in run.seen} == {"float32", "bfloat16"}
