"""Sees every update that an optimizer of torch makes, and when what it has updated is used next."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch import nn
from torch._compile import _disable_dynamo
from torch.nn.modules import module as modules
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from clipcheck.verify.child.session import Limits, Session
from clipcheck.verify.child.torch_aside import in_graph, is_being_recorded
from clipcheck.verify.child.torch_gradients import Gradients
from clipcheck.verify.child.torch_outputs import Outputs
from clipcheck.verify.child.torch_steps import Steps
from clipcheck.verify.child.torch_weights import Weights
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
        self._untold = 0

    def bind(self, number: int, claim: Claim, subject: object, limits: Limits) -> bool:
        is_bound = self._all[number].bind(subject, limits)
        self._find_due()
        return is_bound

    def before_forward(self, module: nn.Module) -> None:
        """What a step is about to update is between two updates while it calls the model (a closure)."""
        if not is_being_recorded():
            due = [weights for weights in self._weights.values() if weights.is_due and weights.is_used_by(module)]
            busy = self._steps.going_on()
            self._look([weights for weights in due if not weights.is_trained_by(busy)])

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
        due = [weights for weights in self._weights.values() if weights.is_due]
        self._look([weights for weights in due if weights.is_left or weights.is_trained_by([trainer])])

    def after_step(self, optimizer: Optimizer, has_closure: bool) -> None:
        trainers = self._steps.end(optimizer)
        if not trainers:
            return
        if has_closure:
            self._look_at_gradients(optimizer, trainers[0].steps)
        updated = [weights for weights in self._weights.values() if weights.is_trained_by(trainers)]
        for weights in updated:
            weights.updated()
        self._find_due()
        self._untold += bool(updated or self._has_looked_at_gradients or self._outputs)
        if not updated:
            self._tell()

    def finish(self) -> Iterator[Seen]:
        """Also the last update is looked at, where the script has come to its own end."""
        for weights in self._weights.values():
            if weights.is_due and self._session.is_at_end:
                weights.look()
        self._session.updates += self._untold
        self._untold = 0
        for watched in self._all.values():
            yield from watched.seen()

    def history(self) -> dict[int, list[tuple[int, float]]]:
        return {number: watched.history() for number, watched in self._all.items()}

    def versions(self) -> dict[str, str]:
        versions = {"torch": torch.__version__}
        return versions | {"cuda": torch.version.cuda} if torch.version.cuda else versions

    def _look(self, due: Sequence[Weights]) -> None:
        for weights in due:
            weights.look()
        if due:
            self._find_due()
            self._tell()

    def _look_at_gradients(self, optimizer: Optimizer, update: int) -> None:
        for gradients in self._gradients.values():
            self._has_looked_at_gradients |= gradients.look(optimizer, update)

    def _find_due(self) -> None:
        self.is_due = any(weights.is_due for weights in self._weights.values())

    def _tell(self) -> None:
        """Of the updates that were looked at, which may have been enough."""
        updates, self._untold = self._untold, 0
        if updates:
            self._session.updated(updates)


class NotSeenError(Exception):
    """The script does something that cannot be watched."""


StepHook: TypeAlias = Callable[[Optimizer, tuple[Any, ...], dict[str, Any]], None]


def _step_hook(session: Session, look: Callable[[Optimizer, bool], None]) -> StepHook:
    """A hook that runs as it is also in a step that is compiled (such a step is not in one piece anyway)."""

    def run(optimizer: Optimizer, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        has_closure = any(map(callable, (*arguments[1:], *keywords.values())))
        try:
            look(optimizer, has_closure)
        except Exception:
            session.failed("watching the updates")

    not_compiled = _disable_dynamo(run)

    def hook(optimizer: Optimizer, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if torch.compiler.is_compiling():
            not_compiled(optimizer, arguments, keywords)
        else:
            run(optimizer, arguments, keywords)

    return hook


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
