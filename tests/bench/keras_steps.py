"""Seconds of a Keras training step, with or without the watcher: a process of its own for each, as graphs keep theirs.

KERAS_BACKEND=torch python -m tests.bench.keras_steps 1024 10 [--watched]
"""

from __future__ import annotations

import argparse
import statistics
import time

import keras
import numpy as np
from keras import layers

from clipcheck.verify.child.keras_watcher import install
from clipcheck.verify.child.session import Session
from clipcheck.verify.claim import Claim, Constrained, Kind, Since
from clipcheck.verify.job import Job

BATCH = 32
BOUND = 0.05
TURNS = 10


class Clip(keras.constraints.Constraint):
    def __call__(self, w):
        return keras.ops.clip(w, -BOUND, BOUND)


def step_seconds(width: int, steps: int) -> float:
    """The median of turns, in CPU time of all threads; the first one, which traces and compiles, does not count."""
    keras.utils.set_random_seed(0)
    dense = [
        layers.Dense(width, "relu", kernel_constraint=Clip(), bias_constraint=Clip(), kernel_initializer="he_normal")
        for _ in range(4)
    ]
    model = keras.Sequential([layers.Input((width,)), *dense])
    model.compile(keras.optimizers.Adam(), "mse", jit_compile=False)
    x = np.random.normal(size=(BATCH * steps, width)).astype("float32")
    seconds = []
    for _ in range(TURNS + 1):
        start = time.process_time()
        model.fit(x, x, batch_size=BATCH, verbose=0, shuffle=False)
        seconds.append((time.process_time() - start) / steps)
    return statistics.median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("width", type=int, help="of the four layers")
    parser.add_argument("steps", type=int, help="in a turn")
    parser.add_argument("--watched", action="store_true")
    options = parser.parse_args()
    claim = Claim(Kind.WEIGHTS, "model", "", "", 0, Since.UPDATE, -BOUND, BOUND, constrained=Constrained("Clip"))
    session = Session(Job("", (), (claim,), "", updates=0))
    if options.watched:
        watcher = install(session, keras)
    print(step_seconds(options.width, options.steps))
    if options.watched:
        assert [seen for seen in watcher.finish() if seen.looks], "nothing was watched"
        assert not session.problems, session.problems[0]


if __name__ == "__main__":
    main()
