"""Sees every update that an optimizer of torch makes, and when what it has updated is used next."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn.modules import module as modules
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from clipcheck.verify.child.session import Limits, Session
from clipcheck.verify.child.torch_aside import in_graph, is_being_recorded, uncompiled
from clipcheck.verify.child.torch_gradients import Gradients
from clipcheck.verify.child.torch_outputs import Outputs
from clipcheck.verify.child.torch_steps import Steps
from clipcheck.verify.child.torch_weights import Part, Weights
from clipcheck.verify.claim import Claim, Kind
from clipcheck.verify.record import Seen


def install(session: Session) -> TorchWatcher:
    """To be called right after the import of torch."""
    watcher = TorchWatcher(session)
    register_optimizer_step_pre_hook(_step_hook(session, watcher.before_step))
    register_optimizer_step_post_hook(_step_hook(session, watcher.after_step))
    kinds = {claim.kind for claim in session.job.claims}
    hooks = []
    if Kind.WEIGHTS in kinds:
        hooks.append(modules.register_module_forward_pre_hook(_before_forward(session, watcher)))
    if Kind.OUTPUTS in kinds:
        hooks.append(modules.register_module_forward_hook(_after_forward(session, watcher)))
    _hide(hooks)
    return watcher


class TorchWatcher:
    """Weights are looked at when a module that holds them is called, when they are about to be updated again, and at
    the end: never right after an update, for that is when most scripts clip.

    is_due: some weights have been updated, and were not looked at since.
    """

    def __init__(self, session: Session) -> None:
        self.is_due = False
        self._session = session
        self._steps = Steps()
        claims = list(enumerate(session.job.claims))
        self._weights = {n: Weights(n, claim, self._steps) for n, claim in claims if claim.kind is Kind.WEIGHTS}
        self._gradients = {n: Gradients(n, claim, self._steps) for n, claim in claims if claim.kind is Kind.GRADIENTS}
        self._outputs = {n: Outputs(n, claim) for n, claim in claims if claim.kind is Kind.OUTPUTS}
        self._all: dict[int, Weights | Gradients | Outputs] = {**self._weights, **self._gradients, **self._outputs}
        self._has_looked_at_gradients = False
        self._last_counted = 0
        self._untold: set[int] = set()
        """The updates of which the session has not heard yet."""

    def bind(self, number: int, claim: Claim, subject: object, limits: Limits) -> bool:
        is_bound = self._all[number].bind(subject, limits)
        self._find_due()
        if self._begins(number):
            self._count()
        return is_bound

    def _begins(self, number: int) -> bool:
        """Whether this is the first clip of a claim, which comes after an update that counts."""
        return number not in self._session.bound and number in self._weights and self._weights[number].is_due

    def before_forward(self, module: nn.Module) -> None:
        """What a step is about to update is between two updates while it calls the model (a closure)."""
        if not is_being_recorded():
            due = [part for weights in self._due() for part in weights.due() if part.is_used_by(module)]
            busy = self._steps.going_on()
            self._look([part for part in due if not part.is_trained_by(busy)])

    def after_forward(self, module: nn.Module, output: object) -> None:
        if not is_being_recorded():
            for outputs in self._outputs.values():
                outputs.look(module, output, self._steps.total)

    def before_step(self, optimizer: Optimizer, has_closure: bool) -> None:
        if in_graph():
            raise NotSeenError("the script replays its updates as a CUDA graph, where nobody sees them")
        if not self._steps.begin(optimizer):
            return
        trainer = self._steps.trainer(optimizer)
        self._has_looked_at_gradients = False
        if not has_closure:
            self._look_at_gradients(optimizer, trainer.steps + 1)
        due = [(part, weights.is_left) for weights in self._due() for part in weights.due()]
        self._look([part for part, is_left in due if is_left or part.is_trained_by([trainer])])

    def after_step(self, optimizer: Optimizer, has_closure: bool) -> None:
        trainers = self._steps.end(optimizer)
        if not trainers:
            return
        if has_closure:
            self._look_at_gradients(optimizer, trainers[0].steps)
        parts = [part for weights in self._weights.values() for part in weights.parts()]
        updated = [part for part in parts if part.is_trained_by(trainers)]
        update = self._steps.total
        for part in updated:
            part.updated([update])
        self._find_due()
        if updated or self._has_looked_at_gradients or self._outputs:
            self._count()
        if not updated:
            self._tell([update])

    def finish(self) -> Iterator[Seen]:
        """Also the last update is looked at, where the script has come to its own end."""
        for weights in self._due() if self._session.is_at_end else ():
            for part in weights.due():
                part.look()
        self._session.updated_last(len(self._untold))
        self._untold.clear()
        for watched in self._all.values():
            yield from watched.seen()

    def history(self) -> dict[int, list[tuple[int, float]]]:
        return {number: watched.history() for number, watched in self._all.items()}

    def versions(self) -> dict[str, str]:
        versions = {"torch": str(torch.__version__)}
        return versions | {"cuda": torch.version.cuda} if torch.version.cuda else versions

    def _due(self) -> list[Weights]:
        return [weights for weights in self._weights.values() if weights.is_due]

    def _look(self, parts: Sequence[Part]) -> None:
        if parts:
            updates = [update for part in parts for update in part.due]
            for part in parts:
                part.look()
            self._find_due()
            self._tell(updates)

    def _look_at_gradients(self, optimizer: Optimizer, update: int) -> None:
        for gradients in self._gradients.values():
            self._has_looked_at_gradients |= gradients.look(optimizer, update)

    def _find_due(self) -> None:
        self.is_due = any(weights.is_due for weights in self._weights.values())

    def _count(self) -> None:
        """The last update is of something that is watched."""
        if self._last_counted != self._steps.total:
            self._last_counted = self._steps.total
            self._untold.add(self._last_counted)

    def _tell(self, updates: Iterable[int]) -> None:
        """Of updates that were looked at, and may have been enough."""
        new = self._untold.intersection(updates)
        if new:
            self._untold -= new
            self._session.updated(len(new))


class NotSeenError(Exception):
    """The script does something that cannot be watched."""


StepHook: TypeAlias = Callable[[Optimizer, tuple[Any, ...], dict[str, Any]], None]


def _step_hook(session: Session, look: Callable[[Optimizer, bool], None]) -> StepHook:
    """A hook that runs as it is also in a step that is compiled (such a step is not in one piece anyway)."""

    def hook(optimizer: Optimizer, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        has_closure = any(map(callable, (*arguments[1:], *keywords.values())))
        try:
            look(optimizer, has_closure)
        except Exception:
            session.failed("watching the updates")

    return uncompiled(hook)


def _before_forward(session: Session, watcher: TorchWatcher) -> Callable[[nn.Module, Any], None]:
    """A hook that leaves nothing in a graph that is compiled. The module that holds the graph is called outside."""

    def hook(module: nn.Module, arguments: Any) -> None:
        if torch.compiler.is_compiling() or not watcher.is_due:
            return
        try:
            watcher.before_forward(module)
        except Exception:
            session.failed("looking at the weights")

    return hook


def _after_forward(session: Session, watcher: TorchWatcher) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, arguments: Any, output: Any) -> None:
        if torch.compiler.is_compiling():
            return
        try:
            watcher.after_forward(module, output)
        except Exception:
            session.failed("looking at the outputs")

    return hook


def _hide(hooks: Sequence[RemovableHandle]) -> None:
    """A module of `torch.compile` warns at each call that there are such hooks; the script's own are its business."""
    own = {hook.id for hook in hooks}
    kinds = [value for name, value in vars(modules).items() if re.match("_global_(for|back)ward_.*hooks", name)]

    def has_any_global_hook() -> bool:
        return any(kind.keys() - own for kind in kinds)

    modules._has_any_global_hook = has_any_global_hook
