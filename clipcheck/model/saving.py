"""Where a script saves whole Keras models."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.code import Argument, Call
from clipcheck.model.networks import Network


class SavedNetwork(Struct, frozen=True):
    """A Keras model that is saved whole, not only its weights, to a `.keras` or `.h5` file.

    at: what saves it: `model.save(…)`, `save_model(…)`, or the `fit(…)` that has a `ModelCheckpoint`.
    is_only: the script makes no other Keras model. constraints: the constraint arguments of its layers that are given.
    """

    at: Call
    network: Network
    is_only: bool

    @property
    def constraints(self) -> tuple[Argument, ...]:
        return tuple(argument for layer in self.network.layers for argument in layer.given)
