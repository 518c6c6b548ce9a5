"""Every way in which torch makes an update, and what is none."""

from __future__ import annotations

import copy
import pickle
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize
from torch.optim.swa_utils import AveragedModel

from clipcheck.verify.child.session import EnoughError
from clipcheck.verify.claim import Since
from tests.verify.torch_watch import BOUND, NAMES, claim, clamp_, critic, loss, on_each_device, sgd, train, watching

pytestmark = pytest.mark.frameworks

WATCHED = claim(since=Since.USE)


def unclipped(model: nn.Module) -> None:
    pass


def updates_seen(run) -> set[int]:
    return {seen.updates for seen in run.seen}


def test_a_subclass_that_calls_the_step_of_its_base_makes_one_update():
    class Clipping(torch.optim.SGD):
        def step(self, closure=None):
            result = super().step(closure)
            with torch.no_grad():
                for group in self.param_groups:
                    for parameter in group["params"]:
                        parameter.clamp_(-BOUND, BOUND)
            return result

    model = critic()
    with watching(WATCHED) as run:
        run.bind(model)
        train(run, model, Clipping(model.parameters(), lr=2.0), unclipped, updates=3)
    assert run.violated == {}
    assert updates_seen(run) == {3}
    assert run.session.updates == 3


def test_an_optimizer_around_another_one_makes_one_update():
    class Lookahead(torch.optim.Optimizer):
        def __init__(self, inner):
            self.inner = inner
            super().__init__(inner.param_groups, {})

        def step(self, closure=None):
            return self.inner.step(closure)

    model = critic()
    with watching(WATCHED) as run:
        run.bind(model)
        train(run, model, Lookahead(sgd(model)), unclipped, updates=2)
    assert updates_seen(run) == {2}
    assert set(run.violated.values()) == {1}


def test_an_optimizer_for_each_parameter_makes_an_update_each():
    model = critic()
    optimizers = [torch.optim.SGD([parameter], lr=2.0) for parameter in model.parameters()]
    with watching(WATCHED) as run:
        run.bind(model)
        for _ in range(2):
            loss(model).backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
    assert updates_seen(run) == {2}
    assert run.session.updates == 8
    assert run.violated == dict.fromkeys(NAMES, 4)  # A clip might have been behind the last step.


@pytest.mark.parametrize("make", [torch.optim.LBFGS, torch.optim.SGD])
def test_closures(make):
    def closure():
        optimizer.zero_grad()
        value = loss(model)
        value.backward()
        return value

    for clip, is_violated in (clamp_, False), (unclipped, True):
        model = critic()
        optimizer = make(model.parameters(), lr=2.0)
        with watching(WATCHED) as run:
            run.bind(model)
            for _ in range(3):
                optimizer.step(closure)
                clip(model)
        assert updates_seen(run) == {3}
        assert bool(run.violated) == is_violated
        assert set(run.violated.values()) <= {1}


def test_a_critic_that_is_used_in_the_closure_of_another_step_is_judged():
    model, generator = critic(), nn.Linear(4, 4)
    other = sgd(generator)

    def closure():
        other.zero_grad()
        value = model(generator(torch.ones(2, 4))).mean()
        value.backward()
        return value

    with watching(WATCHED) as run:
        run.bind(model)
        loss(model).backward()
        sgd(model).step()
        other.step(closure)
        clamp_(model)
    assert set(run.violated.values()) == {1}


def test_a_clip_in_a_hook_of_the_optimizer_holds():
    model = critic()
    optimizer = sgd(model)
    optimizer.register_step_post_hook(lambda *_: clamp_(model))
    with watching(WATCHED) as run:
        run.bind(model)
        train(run, model, optimizer, unclipped)
    assert run.violated == {}


@on_each_device
@pytest.mark.parametrize("fused", [False, True])
def test_steps_that_the_scaler_skips_are_no_updates(fused, device):
    model = critic(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler(device, init_scale=2.0**10)
    with watching(claim()) as run:
        for update in range(4):
            optimizer.zero_grad()
            value = loss(model) * (float("inf") if update == 2 else 1.0)
            scaler.scale(value).backward()
            scaler.step(optimizer)
            scaler.update()
            run.bind(model)
            clamp_(model)
    assert run.violated == {}
    assert updates_seen(run) == {3}


def test_a_step_that_fails_is_none():
    class Moody(torch.optim.SGD):
        fails = False

        def step(self, closure=None):
            if self.fails:
                raise RuntimeError("out of memory")
            return super().step(closure)

    model = critic()
    optimizer = Moody(model.parameters(), lr=2.0)
    with watching(WATCHED) as run:
        run.bind(model)
        for update in range(4):
            optimizer.fails = update == 1
            try:
                train(run, model, optimizer, updates=1)
            except RuntimeError:
                continue
    assert updates_seen(run) == {3}
    assert run.violated == {}


def test_without_an_optimizer_no_update_is_seen():
    model = critic()
    with watching(WATCHED) as run:
        run.bind(model)
        for _ in range(3):
            loss(model).backward()
            for parameter in model.parameters():
                parameter.data -= parameter.grad
                parameter.grad = None
    assert run.session.updates == 0
    assert [(seen.name, seen.updates, seen.looks) for seen in run.seen] == [(name, 0, 0) for name in NAMES]


def test_the_run_ends_after_the_updates_that_were_asked_for_and_looked_at():
    model = critic()
    with watching(WATCHED, updates=3, is_at_end=False) as run:
        run.bind(model)
        with pytest.raises(EnoughError):
            train(run, model, sgd(model), updates=9)
    assert run.session.updates == 3
    assert {(seen.updates, seen.looks) for seen in run.seen} == {(3, 3)}
    assert run.violated == {}


def test_optimizers_that_step_one_after_another_have_their_own_weights_judged():
    """One clip is behind both steps: the second one finds what the first has updated as it is left."""
    actor, other = critic(), critic()
    optimizers = [sgd(actor), sgd(other)]
    models = nn.ModuleList([actor, other])

    def go_on():
        for update in range(10):
            for model, optimizer in zip(models, optimizers, strict=True):
                optimizer.zero_grad()
                loss(model).backward()
            for optimizer in optimizers:
                optimizer.step()
            clamp_(actor)
            if update != 1:
                clamp_(other)

    with watching(claim("models", since=Since.USE), updates=5, is_at_end=False) as run:
        run.bind(models)
        with pytest.raises(EnoughError):
            go_on()
    assert run.session.updates == 5
    assert run.violated == {f"models.1.{name.removeprefix('critic.')}": 4 for name in NAMES}
    looks = {(seen.name.partition(".1.")[1], seen.updates, seen.looks) for seen in run.seen}
    assert looks == {("", 3, 3), (".1.", 3, 2)}


def test_the_update_before_the_first_clip_counts():
    model = critic()
    with watching(claim(), updates=3, is_at_end=False) as run, pytest.raises(EnoughError):
        train(run, model, sgd(model), updates=10)
    assert run.session.updates == 3
    assert {(seen.updates, seen.looks) for seen in run.seen} == {(3, 3)}


def test_updates_of_other_models_do_not_count():
    model, other = critic(), critic()
    optimizer = sgd(other)
    with watching(WATCHED, updates=3) as run:
        run.bind(model)
        for _ in range(9):
            loss(other).backward()
            optimizer.step()
        train(run, model, sgd(model), updates=2)
    assert run.session.updates == 2


# Models.


def test_parameters_that_were_bound_one_by_one_have_the_names_of_their_model():
    class Critic(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 1)

        def forward(self, x):
            return self.body(x)

    model = Critic()
    optimizer = sgd(model)
    with watching(claim("p", as_clipped=True)) as run:
        for _ in range(2):
            loss(model).backward()
            optimizer.step()
            run.bind(model.body.weight)
            clamp_(model.body)
    assert list(run.by_name) == ["Critic.body.weight"]
    assert run.violated == {}


def test_a_parameter_stands_for_its_model_unless_it_is_meant_alone():
    model = critic()
    optimizer = sgd(model)
    with watching(claim("layer.weight")) as run:
        for _ in range(2):
            loss(model).backward()
            optimizer.step()
            run.bind(model[0].weight)
            model[0].weight.data.clamp_(-BOUND, BOUND)
    assert len(run.seen) == 4
    assert "layer.weight.0.weight" not in run.violated
    assert len(run.violated) == 3


@pytest.mark.parametrize(
    "subject",
    [
        lambda model, optimizer: optimizer,
        lambda model, optimizer: list(model.parameters()),
        lambda model, optimizer: model.parameters(),
        lambda model, optimizer: dict(model.named_parameters()),
        lambda model, optimizer: filter(lambda p: p.requires_grad, model.parameters()),
        lambda model, optimizer: [model[0], model[2]],
    ],
)
def test_whatever_holds_parameters_can_be_bound(subject):
    model = critic()
    optimizer = sgd(model)
    with watching(claim(as_clipped=True)) as run:
        for _ in range(2):
            loss(model).backward()
            optimizer.step()
            run.bind(subject(model, optimizer))
            clamp_(model[0])
    assert len(run.seen) == 4
    assert {seen.shape for seen in run.seen if seen.violated_update} == {(1, 3), (1,)}


def test_an_iterator_of_the_script_is_not_advanced():
    model = critic()
    parameters = model.parameters()
    with watching(claim()) as run:
        run.bind(parameters)
        assert len(list(parameters)) == 4


def test_what_is_no_model_is_not_bound():
    with watching(claim()) as run:
        for subject in (1.0, "critic", None, torch.ones(3), [], critic):
            run.bind(subject)
    assert run.session.bound == set()
    assert run.seen == []


def test_wrappers_are_looked_through():
    for wrap in nn.DataParallel, lambda model: torch.compile(model, backend="eager"):
        model = critic()
        wrapped = wrap(model)
        optimizer = sgd(wrapped)
        with watching(claim()) as run, warnings.catch_warnings():
            warnings.simplefilter("error")
            train(run, wrapped, optimizer)
        assert list(run.by_name) == NAMES
        assert run.violated == {}


def test_a_wrapper_that_comes_after_the_binding():
    model = critic()
    with watching(WATCHED) as run:
        run.bind(model)
        outer = nn.Sequential(nn.Identity(), model)
        optimizer = sgd(outer)
        loss(outer).backward()
        optimizer.step()
        outer(torch.ones(1, 4))
        clamp_(outer)
    assert run.by_name["critic.2.bias"].violated_update == 1


def test_a_model_that_changes_its_dtype():
    model = critic()
    with watching(claim()) as run:
        train(run, model, sgd(model), updates=2)
        model.to(torch.bfloat16)
        train(run, model, sgd(model), updates=2)
    assert run.violated == {}
    assert {(seen.dtype, seen.looks) for seen in run.seen} == {("bfloat16", 4)}


def test_lazy_parameters():
    model = nn.Sequential(nn.LazyLinear(3), nn.Tanh(), nn.Linear(3, 1))
    with watching(WATCHED) as run:
        run.bind(model)
        model(torch.ones(1, 4))
        train(run, model, sgd(model))
    assert run.by_name["critic.0.weight"].shape == (3, 4)
    assert run.violated == {}


def test_copies_and_pickles_of_a_watched_model_are_plain():
    model = critic()
    with watching(claim()) as run:
        train(run, model, sgd(model))
        copied = copy.deepcopy(model)
        loaded = pickle.loads(pickle.dumps(model))
        AveragedModel(model).update_parameters(model)
    assert vars(copied).keys() == vars(loaded).keys() == vars(critic()).keys()


def test_of_a_parametrization_that_clips_the_clipped_value_is_meant():
    class Clip(nn.Module):
        def forward(self, x):
            return x.clamp(-BOUND, BOUND)

    model = critic()
    for layer in model[0], model[2]:
        parametrize.register_parametrization(layer, "weight", Clip())
    with watching(WATCHED) as run:
        run.bind(model)
        train(run, model, sgd(model), lambda model: [layer.bias.data.clamp_(-BOUND, BOUND) for layer in model[::2]])
    assert run.violated == {}
    assert set(run.by_name) == set(NAMES)


def test_of_other_parametrizations_the_trained_parameters_are_meant():
    model = critic()
    parametrizations.weight_norm(model[0])
    state = copy.deepcopy(model.state_dict())
    with watching(WATCHED) as run:
        run.bind(model)
        train(run, model, sgd(model), unclipped)
    assert state.keys() == model.state_dict().keys()
    assert "critic.0.parametrizations.weight.original0" in run.violated
