"""What watching costs: training steps with and without the watcher, in turns in one process.

    python -m tests.bench.verify_overhead [--device cuda] [--parameters 1e9] [--keras torch tensorflow]

Keras' steps are run in turns of processes, on the backends that are named, instead of torch's. Without them, on a GPU
also one look at very many weights, beside a plain maximum over one tensor of that size.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules import module as modules
from torch.optim import optimizer as optimizers

from clipcheck.verify.child.session import Limits, Session
from clipcheck.verify.child.torch_looks import Item, Looks
from clipcheck.verify.child.torch_watcher import install
from clipcheck.verify.claim import Claim, Kind, Since
from clipcheck.verify.job import Job

MODELS = (("4 x 16", 16, 50), ("4 x 256", 256, 10), ("4 x 1024", 1024, 1))
"""Name, width of the four layers, steps in a turn."""
KERAS_TURNS = 3
BATCH = 32
TURNS = 60
BOUND = 0.05


class Steps:
    """The training of one model, with its weights clipped after each update."""

    def __init__(self, width: int, device: str) -> None:
        torch.manual_seed(0)
        layers = [layer for _ in range(4) for layer in (nn.Linear(width, width), nn.ReLU())]
        self.model = nn.Sequential(*layers).to(device)
        self._optimizer = torch.optim.Adam(self.model.parameters())
        self._x = torch.randn(BATCH, width, device=device)
        self._device = device

    def seconds(self, steps: int) -> float:
        """The time of one step."""
        clock = clock_of(self._device)
        start = clock()
        for _ in range(steps):
            self._optimizer.zero_grad()
            self.model(self._x).square().mean().backward()
            self._optimizer.step()
            with torch.no_grad():
                for parameter in self.model.parameters():
                    parameter.clamp_(-BOUND, BOUND)
        return (clock() - start) / steps


class Hooks:
    """All hooks that concern every module and optimizer."""

    def __init__(self) -> None:
        self._kinds = (
            optimizers._global_optimizer_pre_hooks,
            optimizers._global_optimizer_post_hooks,
            modules._global_forward_pre_hooks,
            modules._global_forward_hooks,
        )

    @contextmanager
    def away(self) -> Iterator[None]:
        kept = [dict(kind) for kind in self._kinds]
        for kind in self._kinds:
            kind.clear()
        yield
        for kind, hooks in zip(self._kinds, kept, strict=True):
            kind.update(hooks)


def step_times(width: int, steps: int, device: str) -> tuple[float, float, float]:
    """Seconds of a step without the watcher, with it, and without it again: the medians of turns.

    The first and the last differ by what the machine's other work makes of the same thing.
    """
    claim = Claim(Kind.WEIGHTS, "model", "", "", 0, Since.USE, -BOUND, BOUND)
    session = Session(Job("", (), (claim,), "", updates=0))
    hooks = Hooks()
    with hooks.away():
        training = Steps(width, device)
        session.watchers.append(install(session))
        session.bind(0, training.model)
        training.seconds(steps)
        without, watched, again = [], [], []
        for _ in range(TURNS):
            with hooks.away():
                without.append(training.seconds(steps))
            watched.append(training.seconds(steps))
            with hooks.away():
                again.append(training.seconds(steps))
        for kind in hooks._kinds:
            kind.clear()
    assert not session.problems, session.problems[0]
    return statistics.median(without), statistics.median(watched), statistics.median(again)


def keras_step_times(width: int, steps: int, backend: str) -> tuple[float, float, float]:
    """As `step_times`, of Keras."""
    found: tuple[list[float], ...] = ([], [], [])
    for _ in range(KERAS_TURNS):
        for seconds, options in zip(found, ([], ["--watched"], []), strict=True):
            seconds.append(_keras_seconds(width, max(10, steps), backend, options))
    without, watched, again = map(statistics.median, found)
    return without, watched, again


def _keras_seconds(width: int, steps: int, backend: str, options: list[str]) -> float:
    command = [sys.executable, "-m", "tests.bench.keras_steps", str(width), str(steps), *options]
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return float(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout)


def look_times(parameters: int, device: str) -> tuple[float, float, int]:
    """Seconds of one look at so many weights in layers, and of a plain maximum over one tensor; and their bytes."""
    width = 4096
    layers = [torch.randn(width, width, device=device) for _ in range(max(1, parameters // width**2))]
    looks = Looks()
    weak = torch.utils.weak.TensorWeakRef
    looks.at([Item(str(number), weak(layer), Limits(-9.0, 9.0)) for number, layer in enumerate(layers)])
    look = best(lambda: looks.look(1), device)
    size = sum(layer.numel() * layer.element_size() for layer in layers)
    count = sum(layer.numel() for layer in layers)
    del layers
    whole = torch.randn(count, device=device)
    return look, best(lambda: whole.max(), device), size


def best(what: Callable[[], object], device: str, times: int = 10) -> float:
    clock = clock_of(device)
    seconds = []
    for _ in range(times):
        start = clock()
        what()
        seconds.append(clock() - start)
    return min(seconds)


def clock_of(device: str) -> Callable[[], float]:
    """On a CPU its own time in all threads, so that others may be busy beside us; else the wall's, when all is done."""
    if device == "cpu":
        return time.process_time

    def clock() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return clock


def tell(name: str, without: float, watched: float, again: float) -> None:
    both = (without + again) / 2
    print(f"{name:>9}: {both * 1e3:8.3f} ms a step, watched {watched * 1e3:8.3f} ms: x{watched / both:.3f}", end="")
    print(f" (the same twice: x{again / without:.3f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--parameters", type=float, help="of the one look (a GPU: 1e9, a CPU: 1e8)")
    parser.add_argument("--keras", nargs="+", default=[], metavar="BACKEND", help="steps of Keras on these backends")
    options = parser.parse_args()
    for backend in options.keras:
        print(f"Keras on {backend}")
        for name, width, steps in MODELS:
            tell(name, *keras_step_times(width, steps, backend))
    if options.keras:
        return
    print(f"torch {torch.__version__}, {options.device}, {torch.get_num_threads()} threads")
    for name, width, steps in MODELS:
        tell(name, *step_times(width, steps, options.device))
    count = int(options.parameters or (1e9 if options.device == "cuda" else 1e8))
    look, whole, size = look_times(count, options.device)
    print(f"one look at {size / 4e6:.0f} million weights: {look * 1e3:.2f} ms, {size / look / 1e9:.1f} GB/s")
    print(f"a plain maximum over as many: {whole * 1e3:.2f} ms, {size / whole / 1e9:.1f} GB/s: x{look / whole:.2f}")


if __name__ == "__main__":
    main()
