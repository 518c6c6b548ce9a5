"""Torch weights under watch: right scripts hold, wrong ones are caught with the parameter and the update."""

from __future__ import annotations

import gc
import math
import weakref

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from clipcheck.verify.claim import Since
from tests.verify.torch_watch import (
    BOUND,
    LEARNING_RATE,
    NAMES,
    claim,
    clamp_,
    critic,
    loss,
    on_each_device,
    sgd,
    train,
    watching,
)

pytestmark = pytest.mark.frameworks

# Right ways to clip.


def in_data(model):
    for parameter in model.parameters():
        parameter.data.clamp_(-BOUND, BOUND)


def together(model):
    with torch.no_grad():
        torch._foreach_clamp_min_(list(model.parameters()), -BOUND)
        torch._foreach_clamp_max_(list(model.parameters()), BOUND)


def by_copy(model):
    for parameter in model.parameters():
        parameter.data = parameter.data.clamp(-BOUND, BOUND)


def by_apply(model):
    model.apply(lambda module: [p.data.clamp_(-BOUND, BOUND) for p in module.parameters(recurse=False)])


def through_host(model):
    for parameter in model.parameters():
        clipped = parameter.detach().cpu().numpy().clip(-BOUND, BOUND)
        parameter.data.copy_(torch.from_numpy(clipped))


def by_state_dict(model):
    model.load_state_dict({name: value.clamp(-BOUND, BOUND) for name, value in model.state_dict().items()})


@on_each_device
@pytest.mark.parametrize("clip", [clamp_, in_data, together, by_copy, by_apply, through_host, by_state_dict])
def test_a_clip_after_each_update_holds(clip, device):
    model = critic(device)
    with watching(claim()) as run:
        train(run, model, sgd(model), clip)
    assert run.violated == {}
    assert list(run.by_name) == NAMES
    for name, parameter in zip(NAMES, model.parameters(), strict=True):
        seen = run.by_name[name]
        assert (seen.shape, seen.dtype, seen.device) == (tuple(parameter.shape), "float32", str(parameter.device))
        assert (seen.updates, seen.looks) == (4, 4)
        assert seen.highest == pytest.approx(BOUND)


@pytest.mark.parametrize("make", [torch.optim.Adam, torch.optim.RMSprop, torch.optim.AdamW])
@pytest.mark.parametrize("options", [{}, {"foreach": True}, {"fused": True}], ids=["default", "foreach", "fused"])
def test_every_way_to_step_is_seen(make, options):
    if make is torch.optim.RMSprop and "fused" in options:
        pytest.skip("RMSprop has no fused step")
    model = critic()
    with watching(claim()) as run:
        train(run, model, make(model.parameters(), lr=LEARNING_RATE, **options), clip=lambda model: None, updates=3)
    assert dict.fromkeys(NAMES, 1) == run.violated
    assert {seen.updates for seen in run.seen} == {3}


# Wrong ones.


@on_each_device
def test_clipping_the_gradient_only_is_violated(device):
    model = critic(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    with watching(claim()) as run:
        for _ in range(3):
            optimizer.zero_grad()
            loss(model).backward()
            run.bind(model)
            clip_grad_norm_(model.parameters(), BOUND)
            optimizer.step()
    assert dict.fromkeys(NAMES, 1) == run.violated


def test_a_clip_before_the_step_is_violated_by_that_step():
    model = critic()
    optimizer = sgd(model)
    with watching(claim()) as run:
        for update in range(1, 5):
            optimizer.zero_grad()
            (loss(model) * (update == 3)).backward()
            run.bind(model)
            clamp_(model)
            optimizer.step()
    assert set(run.violated.values()) == {3}
    worst = run.by_name["critic.2.bias"]
    assert worst.violated_value == pytest.approx(worst.highest)
    assert worst.violated_value > BOUND
    assert worst.extreme_update == 3


def test_rebinding_the_loop_variable_is_violated():
    def rebind(model):
        for parameter in model.parameters():
            parameter = parameter.clamp(-BOUND, BOUND)

    model = critic()
    with watching(claim()) as run:
        train(run, model, sgd(model), rebind)
    assert run.violated["critic.2.bias"] == 1


def test_a_kernel_without_its_bias_is_violated_in_the_bias():
    def weights_only(model):
        for module in model:
            if isinstance(module, nn.Linear):
                module.weight.data.clamp_(-BOUND, BOUND)

    model = critic()
    with watching(claim()) as run:
        train(run, model, sgd(model), weights_only)
    assert run.violated.keys() <= {"critic.0.bias", "critic.2.bias"}
    assert run.violated["critic.2.bias"] == 1


def test_clipping_in_numpy_without_setting_back_is_violated():
    def in_a_copy(model):
        for parameter in model.parameters():
            parameter.detach().numpy().copy().clip(-BOUND, BOUND)

    model = critic()
    with watching(claim()) as run:
        train(run, model, sgd(model), in_a_copy)
    assert run.violated["critic.2.bias"] == 1


def test_a_clip_at_the_top_of_the_loop_is_violated_where_the_critic_is_used_before():
    """The order of the reference WGAN: the generator is trained on a critic that has left its bounds."""
    model, generator = critic(), nn.Linear(4, 4)
    own, other = sgd(model), sgd(generator)
    with watching(claim()) as run:
        for _ in range(2):
            for _ in range(2):
                run.bind(model)
                clamp_(model)
                own.zero_grad()
                loss(model).backward()
                own.step()
            other.zero_grad()
            model(generator(torch.ones(2, 4))).mean().backward()
            other.step()
    assert run.violated["critic.2.bias"] == 2


def test_a_critic_that_is_clipped_before_its_next_use_may_wait():
    """Between the update and the clip only another model is used, and another optimizer steps."""
    model, generator = critic(), nn.Linear(4, 4)
    own, other = sgd(model), sgd(generator)
    with watching(claim()) as run:
        for _ in range(3):
            own.zero_grad()
            loss(model).backward()
            own.step()
            other.zero_grad()
            generator(torch.ones(2, 4)).mean().backward()
            other.step()
            run.bind(model)
            clamp_(model)
    assert run.violated == {}
    assert {seen.updates for seen in run.seen} == {3}


def test_the_last_update_counts_unless_the_script_was_stopped():
    for is_at_end, violated in (True, [1]), (False, []):
        model = critic()
        with watching(claim(since=Since.USE), is_at_end=is_at_end) as run:
            run.bind(model)
            loss(model).backward()
            sgd(model).step()
        assert list(set(run.violated.values())) == violated
        assert run.by_name["critic.2.bias"].last_is_out == is_at_end


def test_the_last_update_of_a_model_that_is_gone_counts():
    def main():
        model = critic()
        run.bind(model)
        loss(model).backward()
        sgd(model).step()
        return weakref.ref(model)

    with watching(claim(since=Since.USE)) as run:
        model = main()
        gc.collect()
        assert model() is None
    assert run.violated["critic.2.bias"] == 1


def test_a_model_that_is_gone_is_let_go_when_training_goes_on():
    def fold():
        model = critic()
        train(run, model, sgd(model), updates=1)
        return weakref.ref(model[0].weight)

    with watching(claim()) as run:
        first = fold()
        fold()
        gc.collect()
        assert first() is None
    assert run.violated == {}
    assert {(seen.looks, seen.updates) for seen in run.seen} == {(2, 2)}
    assert [update for update, _ in run.history[0]] == [1, 2]


# What is judged.


def test_before_the_first_clip_nothing_is_judged():
    model = critic()
    model[0].weight.data.fill_(1.0)
    optimizer = sgd(model)
    with watching(claim()) as run:
        for update in range(4):
            optimizer.zero_grad()
            loss(model).backward()
            optimizer.step()
            if update >= 2:
                run.bind(model)
                clamp_(model)
    assert run.violated == {}
    assert [update for update, _ in run.history[0]] == [3, 4]


def test_what_was_asked_for_is_judged_from_the_first_update_on():
    model = critic()
    model[0].weight.data.fill_(1.0)
    optimizer = sgd(model, lr=0.0)
    with watching(claim(since=Since.USE)) as run:
        run.bind(model)
        model(torch.ones(2, 4))
        for _ in range(2):
            loss(model).backward()
            optimizer.step()
    assert run.violated == {"critic.0.weight": 1}


def test_frozen_untrained_and_shared_parameters_and_buffers():
    class Critic(nn.Module):
        def __init__(self):
            super().__init__()
            self.frozen = nn.Linear(4, 4)
            self.frozen.requires_grad_(False)
            self.norm = nn.BatchNorm1d(4)
            self.first = nn.Linear(4, 4)
            self.again = self.first
            self.unused = nn.Linear(4, 4)
            self.left_out = nn.Linear(4, 4)
            self.register_buffer("large", torch.ones(3) * 100)

        def forward(self, x):
            return self.left_out(self.again(self.first(self.norm(self.frozen(x))))) * self.large[0]

    model = Critic()
    model.left_out.weight.data.fill_(3.0)
    trained = [p for name, p in model.named_parameters() if not name.startswith("left_out")]
    optimizer = torch.optim.SGD(trained, lr=1.0)
    with watching(claim(bound=1e9)) as run:
        for _ in range(2):
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
            run.bind(model)
    looked = {seen.name for seen in run.seen if seen.looks}
    assert looked == {"critic.norm.weight", "critic.norm.bias", "critic.first.weight", "critic.first.bias"}
    others = {seen.name for seen in run.seen} - looked
    assert others == {
        f"critic.{part}.{name}" for part in ("frozen", "unused", "left_out") for name in ("weight", "bias")
    }
    assert {seen.updates for seen in run.seen if not seen.looks} == {0}


def test_a_critic_that_is_frozen_while_the_generator_trains_is_still_judged():
    model, generator = critic(), nn.Linear(4, 4)
    own, other = sgd(model), sgd(generator)
    with watching(claim()) as run:
        run.bind(model)
        loss(model).backward()
        own.step()
        model.requires_grad_(False)
        model(generator(torch.ones(2, 4))).mean().backward()
        other.step()
        clamp_(model)
    assert run.violated["critic.2.bias"] == 1


def test_parameters_that_are_thawed_later_are_judged_from_then_on():
    model = critic()
    model[0].requires_grad_(False)
    optimizer = sgd(model)
    with watching(claim()) as run:
        train(run, model, optimizer)
        model[0].requires_grad_(True)
        train(run, model, optimizer, clip=lambda model: None)
    assert run.by_name["critic.0.weight"].looks == 4
    assert run.by_name["critic.2.bias"].looks == 8


def test_globs_choose_parameters():
    for glob in ("*.bias", "critic.*.bias", "0.bias"):
        model = critic()
        with watching(claim(parameters=(glob,))) as run:
            train(run, model, sgd(model))
        assert list(run.by_name) == [name for name in NAMES if name.endswith("bias")][: 1 if glob == "0.bias" else 2]


def test_the_bounds_may_be_open_or_lopsided():
    for bounds, violated in (
        ({"low": 0.0}, {"critic.2.weight"}),
        ({"high": -0.5}, {"critic.2.bias"}),
        ({"low": -1.0, "high": 0.3}, {"critic.2.bias"}),
        ({"low": -2.0, "high": 2.0}, set()),
    ):
        model = critic()
        for parameter in model.parameters():
            parameter.data.fill_(-0.5 if parameter is model[2].weight else -1.0 if "high" in bounds else 0.2)
        with torch.no_grad():
            model[2].bias.fill_(0.4)
        with watching(claim(bound=None)) as run:
            loss(model).backward()
            sgd(model, lr=0.0).step()
            run.bind(model, **bounds)
            model(torch.ones(1, 4))
        assert run.violated.keys() == violated


def test_bounds_that_shrink_are_those_of_the_look():
    model = critic()
    optimizer = sgd(model)
    with watching(claim(bound=None)) as run:
        for update in range(6):
            optimizer.zero_grad()
            loss(model).backward()
            optimizer.step()
            bound = 0.1 / (update + 1)
            run.bind(model, low=-bound, high=bound)
            clamp_(model, bound if update != 4 else 2 * bound)
    assert set(run.violated.values()) == {5}
    assert run.by_name["critic.2.bias"].high == pytest.approx(0.1 / 6)


@on_each_device
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_bounds_are_compared_in_the_dtype_of_the_weights(dtype, device):
    """0.01 in bfloat16 is 0.01001."""
    model = critic(device, dtype)
    bound = 0.01
    with watching(claim(bound=bound)) as run:
        train(run, model, sgd(model), lambda model: clamp_(model, bound))
    assert run.violated == {}
    assert {seen.high for seen in run.seen} == {torch.tensor(bound, dtype=dtype).item()}
    assert {seen.dtype for seen in run.seen} == {str(dtype).removeprefix("torch.")}


@on_each_device
def test_one_unit_in_the_last_place_is_out(device):
    model = critic(device)
    edge = torch.tensor(BOUND)
    with watching(claim()) as run:
        train(run, model, sgd(model), updates=1)
        model[0].weight.data[0, 0] = -torch.nextafter(edge, edge + 1)
    assert run.violated == {"critic.0.weight": 1}


@on_each_device
def test_nan_is_out_of_bounds(device):
    model = critic(device)
    optimizer = sgd(model)
    with watching(claim()) as run:
        for update in range(4):
            optimizer.zero_grad()
            (loss(model) * (math.nan if update == 1 else 1.0)).backward()
            optimizer.step()
            run.bind(model)
            clamp_(model)
    assert set(run.violated.values()) == {2}
    assert all(math.isnan(seen.violated_value) and math.isnan(seen.highest) for seen in run.seen)
    assert all(seen.last_is_out for seen in run.seen)


def test_long_runs_are_folded_without_a_change(monkeypatch):
    from clipcheck.verify.child import torch_sheet

    def once(rows):
        monkeypatch.setattr(torch_sheet, "ROWS", rows)
        model = critic()
        with watching(claim()) as run:
            train(run, model, sgd(model), lambda model: clamp_(model, BOUND + 0.01 * (next(late) == 7)), updates=11)
        return run.seen, run.history

    late = iter(range(11))
    seen, history = once(256)
    late = iter(range(11))
    assert once(3) == (seen, history)
    assert [one.violated_update for one in seen if one.name == "critic.2.bias"] == [8]
    assert [update for update, _ in history[0]] == list(range(1, 12))
