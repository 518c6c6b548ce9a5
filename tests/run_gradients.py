"""Runs a torch script as `__main__`, and says whether `torch.optim.SGD` applied the gradients that the script asks for.

Usage: run_gradients.py SCRIPT norm|value BOUND. Asked for is what the backward passes since the last step have added to
the gradients, without the loss scale, clipped once. Prints "held" or "violated", and the first step that differs.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from typing import Any

import torch

Gradients = dict[torch.Tensor, torch.Tensor]


class Watch:
    def __init__(self, by: str, bound: float) -> None:
        self.by = by
        self.bound = bound
        self.parameters: list[torch.Tensor] = []
        self.made: Gradients = {}
        self.scale = 1.0
        self.steps = 0
        self.differs: str | None = None

    def track(self, optimizer: torch.optim.Optimizer) -> None:
        self.parameters += [p for group in optimizer.param_groups for p in group["params"]]

    def backward(self, run: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """A backward pass: what it adds to the gradients is remembered without the loss scale."""
        before = {p: _copy(p.grad) for p in self.parameters}
        run(*args, **kwargs)
        for p, old in before.items():
            if p.grad is not None:
                fresh = (p.grad - old) / self.scale
                self.made[p] = fresh + self.made[p] if old.any() and p in self.made else fresh
        self.scale = 1.0

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        applied = {p: p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None}
        wanted = self.clipped({p: self.made[p] for p in applied})
        self.steps += 1
        if self.differs is None and not all(
            torch.allclose(g, wanted[p], rtol=1e-3, atol=1e-6) for p, g in applied.items()
        ):
            self.differs = f"step {self.steps}: norm {_norm(applied):.6g}, asked for {_norm(wanted):.6g}"

    def clipped(self, gradients: Gradients) -> Gradients:
        if self.by == "value":
            return {p: g.clamp(-self.bound, self.bound) for p, g in gradients.items()}
        factor = min(1.0, self.bound / (_norm(gradients) + 1e-6))
        return {p: g * factor for p, g in gradients.items()}


def _copy(gradient: torch.Tensor | None) -> torch.Tensor:
    return torch.zeros(()) if gradient is None else gradient.clone()


def _norm(gradients: Gradients) -> float:
    return float(torch.stack([g.norm() for g in gradients.values()]).norm())


def watch(by: str, bound: float) -> Watch:
    """Patch torch so that backward passes, the scaler and SGD's steps tell what they do."""
    watching = Watch(by, bound)
    init, step = torch.optim.SGD.__init__, torch.optim.SGD.step
    backward, scale = torch.Tensor.backward, torch.amp.GradScaler.scale

    def patched_init(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        watching.track(self)

    def patched_step(self: Any, closure: Callable[[], Any] | None = None) -> Any:
        with torch.enable_grad():
            loss = closure() if closure is not None else None
        watching.step(self)
        step(self)
        return loss

    def patched_backward(self: Any, *args: Any, **kwargs: Any) -> None:
        watching.backward(backward, self, *args, **kwargs)

    def patched_scale(self: Any, outputs: Any) -> Any:
        watching.scale = self.get_scale()
        return scale(self, outputs)

    torch.optim.SGD.__init__ = patched_init  # type: ignore[method-assign]
    torch.optim.SGD.step = patched_step  # type: ignore[method-assign]
    torch.Tensor.backward = patched_backward  # type: ignore[assignment, method-assign]
    torch.amp.GradScaler.scale = patched_scale  # type: ignore[assignment, method-assign]
    return watching


def main() -> None:
    script, by, bound = sys.argv[1:]
    sys.argv = [script]
    watching = watch(by, float(bound))
    runpy.run_path(script, run_name="__main__")
    if not watching.steps:
        print("no step of SGD was seen")
    elif watching.differs:
        print("violated at", watching.differs)
    else:
        print("held in", watching.steps, "steps")


if __name__ == "__main__":
    main()
