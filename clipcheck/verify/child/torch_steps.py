"""What the optimizers do: which parameters each of them trains, and how often it has."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Iterable
from types import FrameType

import torch
from torch.optim import Optimizer
from torch.utils.weak import TensorWeakRef

OPTIMIZER_FILE = sys.modules[Optimizer.__module__].__file__


class Trainer:
    """What is known of an optimizer; it outlives it.

    steps: how many steps of its own it has made.
    """

    def __init__(self) -> None:
        self.steps = 0
        self._skipped: torch.Tensor | None = None
        self._ids: list[int] = []
        self._trained: dict[int, TensorWeakRef] = {}

    def trains(self, parameter: torch.Tensor) -> bool:
        reference = self._trained.get(id(parameter))
        return reference is not None and reference() is parameter

    def observe(self, optimizer: Optimizer) -> bool:
        """Whether it trains something new. Trained is what has a gradient in one of its steps."""
        parameters = parameters_of(optimizer)
        ids = [id(parameter) for parameter in parameters]
        if ids == self._ids and len(self._trained) == len(ids):
            return False
        self._ids = ids
        new = [each for each in parameters if each.requires_grad and each.grad is not None and not self.trains(each)]
        self._trained.update((id(each), TensorWeakRef(each)) for each in new)
        return bool(new)

    def stepped(self, optimizer: Optimizer) -> None:
        self.steps += 1
        found_inf = getattr(optimizer, "found_inf", None)
        if isinstance(found_inf, torch.Tensor):  # Only the device knows whether this fused step has updated anything.
            skipped = (found_inf > 0).sum()
            self._skipped = skipped if self._skipped is None else self._skipped + skipped.to(self._skipped.device)

    def updates(self) -> int:
        """The steps that updated something. Waits for the device."""
        return self.steps - (0 if self._skipped is None else int(self._skipped))


class Steps:
    """All steps of all optimizers. A step that is made within another one (`super().step()`, a wrapper) is its part.

    news: grows whenever an optimizer trains something new. total: how many steps there were.
    """

    def __init__(self) -> None:
        self.news = 0
        self.total = 0
        self._trainers: weakref.WeakKeyDictionary[Optimizer, Trainer] = weakref.WeakKeyDictionary()
        self._all: list[Trainer] = []
        self._thread = threading.local()

    def going_on(self) -> list[Trainer]:
        """Whose step this thread is in."""
        step = self._running()
        return [self._trainers[step.optimizer]] if step is not None and _is_running(step.frame) else []

    def trainer(self, optimizer: Optimizer) -> Trainer:
        """What is known of an optimizer that has begun a step."""
        return self._trainers[optimizer]

    def trainers_of(self, parameter: torch.Tensor | None) -> list[Trainer]:
        return [trainer for trainer in self._all if parameter is not None and trainer.trains(parameter)]

    def begin(self, optimizer: Optimizer) -> bool:
        """Whether this is a step of its own."""
        self._observe(optimizer)
        step = self._running()
        if step is None or not _is_running(step.frame):  # It failed, or it still runs.
            self._thread.step = _Step(optimizer)
            return True
        step.parts.append(optimizer)
        step.open_parts += 1
        return False

    def end(self, optimizer: Optimizer) -> list[Trainer]:
        """Whose step this was: none, if it was a part of another one."""
        self._observe(optimizer)
        step = self._running()
        if step is None:
            return []
        if step.open_parts and _frame_of_step() is not step.frame:
            step.open_parts -= 1
            return []
        self._thread.step = None
        self.total += 1
        trainer = self._trainers[step.optimizer]
        trainer.stepped(step.optimizer)
        return [trainer, *self._others(trainer, step.parts)]

    def _others(self, trainer: Trainer, parts: Iterable[Optimizer]) -> list[Trainer]:
        """Of the optimizers that stepped within a step, those that train something of their own."""
        others = []
        for part in dict.fromkeys(parts):
            own = filter(self._trainers[part].trains, parameters_of(part))
            if not all(map(trainer.trains, own)):
                self._trainers[part].stepped(part)
                others.append(self._trainers[part])
        return others

    def _observe(self, optimizer: Optimizer) -> None:
        trainer = self._trainers.get(optimizer)
        if trainer is None:
            trainer = self._trainers[optimizer] = Trainer()
            self._all.append(trainer)
        self.news += trainer.observe(optimizer)

    def _running(self) -> _Step | None:
        return getattr(self._thread, "step", None)


class _Step:
    """A step that is going on."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.frame = _frame_of_step()
        self.parts: list[Optimizer] = []
        self.open_parts = 0


def parameters_of(optimizer: Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _frame_of_step() -> FrameType | None:
    """The innermost frame of torch's own around `step`, which has called us."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != OPTIMIZER_FILE:
        frame = frame.f_back
    return frame


def _is_running(wanted: FrameType | None) -> bool:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame is not wanted:
        frame = frame.f_back
    return frame is not None
