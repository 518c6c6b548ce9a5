"""Wasserstein critics: what makes us believe that a model is one, and what bounds its gradients or its weights."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.code import Argument, Call, Code
from clipcheck.model.networks import Network, NetworkLayer, Training


class Evidence(Struct, frozen=True):
    """A place that tells that a model is a WGAN critic, and how: "a Wasserstein loss".

    kind: "loss", "iterations", "name", "words", "bound" or "optimizer". Comments are evidence, never proof.
    """

    kind: str
    code: Code
    words: str


class GradientBound(Struct, frozen=True):
    """Something that bounds the gradients of a model.

    call: the optimizer's call, `clip_grad_value_(…)`, or `tf.clip_by_value(…)` on gradients. argument: the optimizer's
    argument. limit: the bound. by: "value" or "norm". model: the model as written there.
    training: what trains that model. place: the statement of the clip, or the loop over parameters that is there for
    it; None where its result is used. step: the call that updates the weights next, in the same block as the clip, or
    just before it where the clip comes too late. clipped, unclipped: the expression of the clipped gradients, and what
    stands for them without the clip.
    """

    call: Call
    argument: Argument | None
    limit: Code | None
    by: str
    model: Code
    training: Training | None = None
    step: Call | None = None
    step_is_before: bool = False
    place: Code | None = None
    clipped: Code | None = None
    unclipped: Code | None = None

    @property
    def at(self) -> Code:
        return self.argument or self.call

    @property
    def words(self) -> str:
        """`clipvalue=0.01` or `clip_grad_value_`: what a message calls it."""
        return self.argument.words if self.argument is not None else self.call.callee.words.rpartition(".")[2]


class GradientClippedCritic(Struct, frozen=True):
    """A critic that is meant to have bounded weights, while only its gradients are bounded.

    others: the further bounds on the gradients of the same critic by the same call or optimizer.
    shared: the other models that the same optimizer trains.
    """

    bound: GradientBound
    network: Network | None
    evidence: tuple[Evidence, ...]
    shared: tuple[Code, ...] = ()

    @property
    def name(self) -> str:
        return self.bound.model.words


class ClippingConstraint(Struct, frozen=True):
    """A Keras constraint class of the file that clips every weight to a symmetric interval.

    takes_bound: its one parameter is the bound. fixed_bound: the bound that it has where it takes none.
    """

    name: str
    code: Code
    takes_bound: bool
    fixed_bound: float | None = None

    def made_with(self, bound: str) -> str:
        return f"{self.name}({bound})" if self.takes_bound else f"{self.name}()"


class UnboundWeights(Struct, frozen=True):
    """A Keras critic some of whose layers have constraints that clip, while other weights of it have none.

    given: one of the constraints, as it is given. layers: those with weights that are not bounded.
    """

    network: Network
    given: Argument
    layers: tuple[NetworkLayer, ...]
    evidence: tuple[Evidence, ...]


class ConstraintClass(Struct, frozen=True):
    """A constraint argument that is given the class where an object belongs.

    needed: the class cannot be made without a bound. made: how the file makes objects of it elsewhere, if it does.
    """

    argument: Argument
    constraint: ClippingConstraint
    needed: bool
    made: Code | None
    evidence: tuple[Evidence, ...] | None


class PartialWeightClip(Struct, frozen=True):
    """A clip of only some of a critic's weights, done by hand.

    at: the clip. model: what the critic is called, if it is an object of its own. bounded, left_out: which weights are
    clipped, and which are not, in words. rewritten: what stands where, once it is complete. superfluous: the statements
    that are not needed then.
    """

    at: Code
    model: str | None
    bounded: str
    left_out: str
    evidence: tuple[Evidence, ...]
    rewritten: tuple[tuple[Code, str], ...] = ()
    superfluous: tuple[Code, ...] = ()
