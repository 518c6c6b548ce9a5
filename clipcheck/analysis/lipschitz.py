"""What else keeps a critic Lipschitz, or shows that a file is about something else. All of it errs towards yes."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from clipcheck.analysis.clips import read_clips
from clipcheck.frameworks.keras import CONSTRAINT_ARGUMENTS
from clipcheck.model.clips import ValueClip
from clipcheck.model.value import Constant, Many, Tensor

if TYPE_CHECKING:
    from clipcheck.analysis.reading import FileReading

_PENALTY = re.compile(
    r"gradients?_?pen|grad_?pen|(^|_)gp(_|$)|_gp\b|gp_?(weight|lambda|coef|loss|term)|(lambda|lam|weight|loss)_?gp"
    r"|wgan_?gp|interpolate(d|s)|interpolation_?\w|lipschitz_?(pen|reg|term|loss)|penalty|zero_?centered"
    r"|(^|_)r[12]_(reg|gamma)|^slopes?$|wgan_?(lp|div)|wgandiv|hinge",
    re.IGNORECASE,
)
_SPECTRAL = re.compile(
    r"spectral|(^|_)sn_?(conv|linear|dense|layer)|(^|_)snconv|bjorck|orthogonal_?(reg|ize)|power_iter", re.I
)
_WEIGHTS = r"(weights?|params?|parameters|variables?|vars|critic|discriminator|disc|theta(_d)?|d_?vars|w)"
_WEIGHT_CLIP = re.compile(
    rf"((^|_)(weights?|params?|critic|disc\w*|d|w|vars?)_?(clip|clamp)|(clip|clamp)p?(ing|er|ed)?_?{_WEIGHTS})|clip_?(op|d|ops|disc\w*)$"
    r"|weightclip|clipper|weight_?constraint|clip_?constraint|apply_?constraint|project_?(weights|params|onto)",
    re.IGNORECASE,
)
_REINFORCEMENT = re.compile(
    r"(^|_|\.)(actors?|gym|gymnasium|replay_?(buffer|memory)|next_states?|advantages?|q_values?|td_?(error|target)s?"
    r"|policy_(net|loss|gradient|optimizer)|ppo|ddpg|sac|td3|a2c|a3c|dqn|returns_to_go|env)(_|$)",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SUBJECTS = re.compile(r"weight|param|var|theta|\bw\b|\bp\b|\bv\b|\.data\b|kernel|bias", re.IGNORECASE)


class Lipschitz:
    """Asked once a file has a candidate; what it finds makes the rules silent."""

    def __init__(self, reading: FileReading) -> None:
        self.reading = reading

    @cached_property
    def identifiers(self) -> frozenset[str]:
        """Every name that the code of the file uses: variables, attributes, functions, keywords, imported things."""
        return frozenset(node.value for node in self.reading.tree.all(cst.Name))

    @cached_property
    def has_penalty(self) -> bool:
        """A gradient penalty, or a loss of another kind that does a penalty's work."""
        if any(_PENALTY.search(name) for name in self._snake):
            return True
        return any(self._creates_graph(call) for call in self.reading.tree.all(cst.Call))

    @cached_property
    def has_spectral_norm(self) -> bool:
        return any(_SPECTRAL.search(name) for name in self._snake)

    @cached_property
    def is_reinforcement_learning(self) -> bool:
        """Actor and critic: another kind of critic."""
        return any(_REINFORCEMENT.search(name) for name in self._snake)

    @cached_property
    def clips_weights(self) -> bool:
        """Something in the file bounds weights: a clip of them, a constraint, or a helper whose name says so."""
        return (
            any(is_weight_clip(clip, self.reading) for clip in self.clips if not self._is_idle(clip))
            or any(self._is_constraint(arg) for arg in self.reading.tree.all(cst.Arg))
            or any(self._is_clipping_call(call) for call in self.reading.tree.all(cst.Call))
        )

    @cached_property
    def clips(self) -> tuple[ValueClip, ...]:
        return tuple(read_clips(self.reading))

    def _is_idle(self, clip: ValueClip) -> bool:
        """Whether a clip stands in a class of a constraint that the file nowhere uses."""
        class_ = self.reading.class_of(clip.call.node)
        if class_ is None or self.reading.classes.kind(class_) != "constraint":
            return False
        inside = set(self.reading.tree.below(class_))
        return not any(
            name.value == class_.name.value for name in self.reading.tree.all(cst.Name) if name not in inside
        )

    @cached_property
    def _snake(self) -> frozenset[str]:
        """The identifiers with `_` between their words, so that `GradientPenalty` reads like `Gradient_Penalty`."""
        return frozenset(_CAMEL.sub("_", name) for name in self.identifiers)

    def _creates_graph(self, call: cst.Call) -> bool:
        """`torch.autograd.grad(…, create_graph=True)`: the gradient of a gradient."""
        return any(
            arg.keyword is not None
            and arg.keyword.value == "create_graph"
            and self.reading.value(arg.value) != Constant(False)
            for arg in call.args
        )

    def _is_constraint(self, arg: cst.Arg) -> bool:
        keyword = arg.keyword.value if arg.keyword is not None else ""
        return keyword in CONSTRAINT_ARGUMENTS | {"constraint"} and self.reading.value(arg.value) != Constant(None)

    def _is_clipping_call(self, call: cst.Call) -> bool:
        """A call of a function whose name says that it clips weights, unless its body shows that it does not."""
        name = call.func.attr.value if isinstance(call.func, cst.Attribute) else getattr(call.func, "value", "")
        if not isinstance(name, str) or not _WEIGHT_CLIP.search(_CAMEL.sub("_", name)):
            return False
        return self.reading.origins.function(call) is None


def is_weight_clip(clip: ValueClip, reading: FileReading) -> bool:
    """Whether a clip of values is surely or possibly one of a model's weights."""
    value = clip.subject.value
    if isinstance(value, Many):
        value = value.element
    if isinstance(value, Tensor) and value.role != "data":
        return value.role != "gradient"
    if _is_assigned(clip, reading):
        return True
    return bool(clip.in_place and _SUBJECTS.search(clip.subject.text))


def _is_assigned(clip: ValueClip, reading: FileReading) -> bool:
    """`v.assign(clip(v, …))`, `tf.assign(v, clip(v, …))`, `set_weights([clip(w) …])`, `p.data = p.clamp(…)`."""
    for above in reading.tree.ancestors(clip.call.node):
        if isinstance(above, cst.Call):
            method = above.func.attr.value if isinstance(above.func, cst.Attribute) else None
            if method in ("assign", "set_weights", "set_value", "copy_", "load_state_dict", "update"):
                return True
        if isinstance(above, cst.Assign):
            target = above.targets[0].target
            return isinstance(target, cst.Attribute) and target.attr.value == "data"
        if isinstance(above, (cst.SimpleStatementLine, cst.FunctionDef)):
            return False
    return False
