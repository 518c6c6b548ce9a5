"""Every weight travels to the host and back at each training step, to be clipped there.

## What it does
Finds `get_weights`, a clip, and `set_weights` of a Keras model in a training loop, or in a helper that is called in
one; parameters that are clipped through NumPy and copied back; and PyTorch's `state_dict`, a clip, and
`load_state_dict`.

## Why it is wrong
`get_weights` copies each weight into a NumPy array, and `set_weights` copies it back: on 4.2 million weights that took
20 ms a step, a clip in the graph 1.6 ms, and on a GPU the copies wait for all work that is queued. It also reaches
weights that are not meant: `get_weights` holds the moving statistics of BatchNormalization as well.

## Example
```python
for _ in range(n_critic):
    critic.train_on_batch(real, ones)
    for layer in critic.layers:
        weights = layer.get_weights()
        weights = [np.clip(w, -0.01, 0.01) for w in weights]
        layer.set_weights(weights)
```

## Use instead
```python
for _ in range(n_critic):
    critic.train_on_batch(real, ones)
    for w in critic.trainable_weights:
        w.assign(keras.ops.clip(w, -0.01, 0.01))
```
or a `kernel_constraint` and a `bias_constraint` on every layer, which clips inside of the training step.

## Fix
Replaces the loop with `assign` on the trainable weights, `clamp_` on PyTorch's parameters. Where the script freezes a
model, `trainable_weights` may be empty: then it goes through `weights` and leaves moving statistics out by name.
Unsafe: weights that are not trained are not clipped any more. There is no fix where the loop does anything else, and
none in files for Keras 2, where `assign` makes a node of the graph instead of running.

## Not flagged
Clips that do not run at each training step, as for quantising a trained model; weights that are copied from one model
to another.

## Sources
https://arxiv.org/abs/1701.07875
https://keras.io/api/layers/constraints/
"""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.model.weight_writes import WeightWrite
from clipcheck.outline import Outline
from clipcheck.outline.shapes import called_in, value_clips
from clipcheck.rule import Rule, Severity, note

from .writing_back import in_place


class HostRoundTripWeightClip(Rule):
    code = "CLP103"
    name = "host-round-trip-weight-clip"
    severity = Severity.WARNING
    screen = (rb"clip|clamp", rb"set_weights|load_state_dict|numpy")
    why = (
        "Each weight is copied to the host, clipped there and copied back, at every training step: about twelve times "
        "the cost of clipping the weights where they are, and on a GPU everything waits for it."
    )
    advice = "Clip the weights where they are: with a constraint on each layer, or by `assign` after the update."

    def candidate(self, outline: Outline) -> bool:
        if not _may_travel(frozenset(name for name in _TRAVELLING if outline.has(name.encode()))):
            return False
        return any(_may_travel(called_in(clip.site)) for clip in value_clips(outline))

    def check(self, script: Script) -> Iterator[Finding]:
        for write in script.all(WeightWrite):
            if not write.is_host_round_trip:
                continue
            torch = write.way == "reload" or (write.way == "numpy" and write.keras is None)
            yield self.finding(
                write.source if write.way != "numpy" else write.clip.call,
                self.message(write),
                why=self.reloaded if write.way == "reload" else None,
                advice="Call `clamp_` on the parameters, under `torch.no_grad()`." if torch else None,
                evidence=[note(write.clip.call, "clipped here"), note(write.written, "and written back here")],
                fix=in_place(write, script),
            )

    reloaded = (
        "A new tensor is made for each entry, and `load_state_dict` then compares all keys and copies every tensor "
        "back, at every training step. `clamp_` changes the parameters where they are."
    )

    def message(self, write: WeightWrite) -> str:
        if write.way == "reload":
            return f"`{write.name}` is taken apart and loaded again at every training step to clip its weights"
        if write.way == "numpy":
            return f"`{write.clip.subject.words}` is clipped in NumPy and copied back at every training step"
        return f"The weights of `{write.name}` travel to the host and back at every training step to be clipped"


_STORING = frozenset({"assign", "copy_", "set_", "set_value"})
_TRAVELLING = _STORING | {"get_weights", "set_weights", "state_dict", "load_state_dict", "numpy", "data"}


def _may_travel(called: frozenset[str]) -> bool:
    """Whether a function that calls these may take weights to the host and write them back."""
    if {"get_weights", "set_weights"} <= called or {"state_dict", "load_state_dict"} <= called:
        return True
    return "numpy" in called and bool(called & _STORING or "data" in called)
