"""Clips of a model's weights that are written back to the model at every training step."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Code
from clipcheck.model.networks import Network, NetworkLayer


class Rewriting(Struct, frozen=True):
    """The statements that do nothing but clip the weights and write them back, so that others can take their place.

    replaced: the statement that the new ones go to. removed: the others. owner: whose weights they are, as it can be
    written there: the model, or the layer of a loop that stays. element: what one weight may be called.
    """

    replaced: Code
    removed: tuple[Code, ...]
    owner: str
    element: str


class WeightWrite(Struct, frozen=True):
    """A clip of weights whose result goes back into the model, in a training loop.

    way: how the weights travel: "host" (`get_weights`, clipped one by one, `set_weights`), "reload" (`state_dict`,
    `load_state_dict`), "numpy" (each parameter through NumPy and back), "direct" (the tensors themselves are changed).
    source: what takes the weights from the model: the call, or what the loop goes through. written: what puts them
    back. model: the model as written there, in a helper its parameter. network: the model, where it is known to be one.
    untrained: the weights that are not trained, such as moving statistics, are among them. selected: some are left out,
    by an `if`, a slice or the like. frozen: the script sets `trainable` of some model, so that the model may have
    weights that it trains but does not call trainable. keras: where the model's Keras comes from ("keras",
    "tensorflow.keras"), if it is a Keras model and the file shows it.
    """

    clip: ValueClip
    way: str
    source: Code
    written: Code
    model: Code
    network: Network | None
    untrained: bool
    selected: bool
    frozen: bool
    keras: str | None
    rewriting: Rewriting | None

    @property
    def name(self) -> str:
        return self.model.words

    @property
    def is_host_round_trip(self) -> bool:
        return self.way != "direct"

    @property
    def hits_statistics(self) -> bool:
        """Whether moving statistics surely are among the clipped weights."""
        return self.untrained and not self.selected and self.network is not None and self.network.has_moving_statistics

    @property
    def statistics(self) -> list[NetworkLayer]:
        """The layers that keep moving statistics."""
        layers = self.network.layers if self.network is not None else ()
        return [layer for layer in layers if layer.moving_statistics]
