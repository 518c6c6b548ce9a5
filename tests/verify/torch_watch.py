"""A run under the torch watcher within a test: the training is a function of the test's, not a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.nn.modules import module as modules

from clipcheck.verify.child.session import Session
from clipcheck.verify.child.torch_watcher import install
from clipcheck.verify.claim import Claim, Kind, Since
from clipcheck.verify.job import Job
from clipcheck.verify.record import Seen

BOUND = 0.05


LEARNING_RATE = 2.0
"""In one step of this size every weight of `critic` leaves its bounds."""
NAMES = ["critic.0.weight", "critic.0.bias", "critic.2.weight", "critic.2.bias"]

on_each_device = pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))],
)


def claim(subject: str = "critic", bound: float | None = BOUND, *, since: Since = Since.CLIP, **more) -> Claim:
    """That the weights of a model stay in [-bound, bound]."""
    low = None if bound is None else -bound
    return Claim(Kind.WEIGHTS, subject, "", "train.py", 1, **{"since": since, "low": low, "high": bound, **more})


class Run:
    """What is seen of a training. `seen` and `history` are there at its end."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.seen: list[Seen] = []
        self.history: dict[int, list[tuple[int, float]]] = {}

    def bind(self, subject: object, number: int = 0, **limits: object) -> None:
        """What a note does, where it stands in the script."""
        self.session.bind(number, subject, **limits)

    @property
    def by_name(self) -> dict[str, Seen]:
        return {seen.name: seen for seen in self.seen}

    @property
    def violated(self) -> dict[str, int]:
        """The updates at which parameters left their bounds."""
        return {seen.name: seen.violated_update for seen in self.seen if seen.violated_update is not None}


@contextmanager
def watching(*claims: Claim, updates: int = 0, is_at_end: bool = True) -> Iterator[Run]:
    session = Session(Job("train.py", (), claims, "", updates=updates))
    watcher = install(session)
    session.watchers.append(watcher)
    run = Run(session)
    try:
        yield run
        session.is_at_end = is_at_end
        run.seen = list(watcher.finish())
        run.history = watcher.history()
        assert not session.problems, session.problems[0]
    finally:
        for hooks in _hooks():
            hooks.clear()


def _hooks():
    from torch.optim import optimizer

    yield optimizer._global_optimizer_pre_hooks
    yield optimizer._global_optimizer_post_hooks
    yield modules._global_forward_pre_hooks
    yield modules._global_forward_hooks


def critic(device: str = "cpu", dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """With weights that are within the bounds."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)).to(device, dtype)
    clamp_(model)
    return model


def loss(model: nn.Module) -> torch.Tensor:
    """Every parameter gets a gradient."""
    like = next(model.parameters())
    return (model(torch.ones(2, 4, device=like.device, dtype=like.dtype)) - 1).square().mean()


def sgd(model: nn.Module, **options) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), **{"lr": LEARNING_RATE, **options})


def clamp_(model: nn.Module, bound: float = BOUND) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.clamp_(-bound, bound)


def train(
    run: Run,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    clip: Callable[[nn.Module], object] = clamp_,
    updates: int = 4,
) -> None:
    """Clips after each update."""
    for _ in range(updates):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
        run.bind(model)
        clip(model)
