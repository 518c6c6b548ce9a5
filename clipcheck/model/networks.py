"""Networks: the models of a script, their layers, and what trains them."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.code import Argument, Call, Code


class NetworkLayer(Struct, frozen=True):
    """One layer of a network: the call that makes it.

    api: its canonical name ("keras.layers.Dense", "torch.nn.Conv2d").
    call: the call as it stands in the network. owner: the call that owns the weights, another one only for a wrapper
    (`TimeDistributed(Dense(8))`).
    constrainable: the constraint arguments that its trainable weights take, those that it switches off left out.
    given: the constraint arguments that are given and are not None.
    normalization: it normalises (its scale is a weight too). moving_statistics: it keeps some that are not trained.
    unconstrainable: it owns trainable weights that no argument constrains, or it is not known whether it does.
    """

    api: str
    call: Call
    owner: Call
    constrainable: tuple[str, ...] = ()
    given: tuple[Argument, ...] = ()
    normalization: bool = False
    moving_statistics: bool = False
    unconstrainable: bool = False

    @property
    def unconstrained(self) -> tuple[str, ...]:
        """The constraint arguments that its weights could take and do not."""
        given = {argument.keyword for argument in self.given}
        return tuple(name for name in self.constrainable if name not in given)

    @property
    def owns_weights(self) -> bool:
        return bool(self.constrainable) or self.unconstrainable


class Training(Struct, frozen=True):
    """What trains a network.

    at: the call that ties optimizer and network together: `critic.compile(…)`, `optimizer.apply_gradients(…)`,
    `optim.Adam(critic.parameters())`. model: the network as it is written there. optimizer: the call that makes the
    optimizer, where the file has it. optimizer_code: the expression that stands for the optimizer there. loss: the loss
    that is handed over.
    """

    at: Call
    model: Code
    optimizer: Call | None
    optimizer_code: Code | None
    loss: Code | None = None


class Network(Struct, frozen=True):
    """A model: a Keras model or a torch module.

    framework: "keras" or "torch". made: the call that makes it; for the class seen from within, the class.
    names: what it is called in the file, dotted as written ("critic", "self.critic"), also by the functions it is
    handed to. class_name: its own class, if it has one in this file.
    layers: the layers that are known to be its own, in the order of the source. is_complete: there are no others.
    """

    framework: str
    made: Code
    names: frozenset[str]
    class_name: str | None
    layers: tuple[NetworkLayer, ...]
    is_complete: bool
    trainings: tuple[Training, ...] = ()

    @property
    def has_moving_statistics(self) -> bool:
        """Whether it surely has a layer such as BatchNorm, whose statistics are weights that nothing trains."""
        return any(layer.moving_statistics for layer in self.layers)

    @property
    def spoken_name(self) -> str:
        """What a message calls it: the plainest of its names."""
        return min(self.names, key=_plainness, default="the model")


def _plainness(name: str) -> tuple[bool, int, int, str]:
    """Orders the names of a model: those that say something first, then the shorter ones."""
    is_general = name.rpartition(".")[2] in ("model", "m", "net", "network", "module")
    return is_general, name.count("."), len(name), name
