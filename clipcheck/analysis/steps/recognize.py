"""Which calls are events of a training step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.steps.keys import Env, Keys
from clipcheck.analysis.trainers import trainer_of
from clipcheck.frameworks import GRADIENT_CLIPS, OPTIMIZERS
from clipcheck.frameworks.trainers import BOOKKEEPING, UNSCALING
from clipcheck.model.code import Call, Code
from clipcheck.model.steps import Action
from clipcheck.model.value import Instance, Many, Tensor

_OPTIMIZER = re.compile(
    r"(^|[._])(opt|optim|optimi[sz]er|solver|trainer)s?[A-Za-z]?\d*($|[_\[])|[Oo]ptimi[sz]er|_opt$|^opt[A-Z_]"
)
_NO_OPTIMIZER = re.compile(r"sched|warmup|lr_|env|prof|logger|tracker|pbar|progress|ema|swa", re.IGNORECASE)
_SCALER = re.compile(r"scaler", re.IGNORECASE)
_SCALERS = frozenset({"torch.cuda.amp.GradScaler", "torch.amp.GradScaler", "torch.cpu.amp.GradScaler"})
_FRAMEWORK_CLIPS = frozenset({"clip_grad_norm_", "clip_grad_value_", "clip_gradients"})
_OPAQUE = re.compile(
    r"backward|zero_grad|optimi[sz]|train_(step|batch|one)|update_(param|model|weight)|clip_grad|grad_clip"
)
_HARMLESS = re.compile(
    r"^(print|len|isinstance|hasattr|getattr|setattr|id|type|str|repr|list|tuple|dict|zip|enumerate|append|update|"
    r"state_dict|load_state_dict|save|save_checkpoint|load_checkpoint|info|debug|log|prepare|setup|to|add_param_group)$|"
    r"(sched|Scheduler|LR$|lr_|resume|restore|summary)",
)


@dataclass(frozen=True)
class Seen:
    """An event before it is known where it stands."""

    action: Action
    code: Code
    optimizer: str | None = None
    scaler: str | None = None
    models: frozenset[str] = frozenset()
    bound: Code | None = None


class Recognizer:
    def __init__(self, reading: FileReading) -> None:
        self.reading = reading
        self.keys = Keys(reading)
        self.clips = {clip.call.node: clip for clip in read_clips(reading)}
        self.clipped_models = {
            clip.tensor.owner.text
            for clip in self.clips.values()
            if clip.tensor and clip.tensor.owner and clip.in_place
        }

    @property
    def clip_calls(self) -> Iterator[cst.Call]:
        """Every call that may clip gradients or weights in place."""
        yield from (node for node, clip in self.clips.items() if clip.in_place and clip.tensor is not None)
        for node in self.reading.tree.all(cst.Call):
            call = Call(node, self.reading)
            if call.method in _FRAMEWORK_CLIPS or call.callee.api in GRADIENT_CLIPS:
                yield node

    def events(self, node: cst.Call, env: Env) -> Iterator[Seen]:
        """What a call does in a training step, apart from what a helper of this file does that it calls."""
        call = Call(node, self.reading)
        name = call.method or (node.func.value if isinstance(node.func, cst.Name) else None)
        clip = self._gradient_clip(call, env) or self._framework_clip(call, env) or self._value_clip(call, env)
        if clip is not None:
            yield clip
        elif name == "zero_grad":
            yield self._zero_grad(call, env)
        elif name in ("backward", "manual_backward"):
            yield Seen(Action.BACKWARD, call, scaler=self._scaler_of_loss(call, env))
        elif (name == "unscale_" and call.receiver is not None) or (name in UNSCALING and call.receiver is not None):
            yield Seen(Action.UNSCALE, call, self._first(call, env), self.key(call.receiver, env))
        elif name == "step":
            yield from self._step(call, env)
        elif call.callee.text in self.clipped_models:
            yield Seen(Action.FORWARD, call, models=_one(self.key(call.callee, env)))
        elif self._is_opaque(call, name, env):
            yield Seen(Action.UNKNOWN, call)

    def key(self, code: Code, env: Env) -> str | None:
        return self.keys.of(code.node, env) if isinstance(code.node, cst.BaseExpression) else None

    def is_optimizer(self, code: Code, key: str | None) -> bool:
        """Whether something is an optimizer: by the call that made it, else by its name."""
        value = code.value
        if isinstance(value, Instance):
            if value.of in OPTIMIZERS or self.reading.classes.kind_of(value) == "optimizer":
                return True
            if "sched" in value.of.lower():
                return False
        last = (key or code.text).rpartition(".")[2]
        return bool(_OPTIMIZER.search(last)) and not _NO_OPTIMIZER.search(last)

    def is_scaler(self, code: Code, key: str | None) -> bool:
        value = code.value
        if isinstance(value, Instance):
            return value.of in _SCALERS
        return bool(_SCALER.search((key or code.text).rpartition(".")[2]))

    def _first(self, call: Call, env: Env) -> str | None:
        return self.key(call.arguments[0].code, env) if call.arguments else None

    def _gradient_clip(self, call: Call, env: Env) -> Seen | None:
        api = GRADIENT_CLIPS.get(call.callee.api or "")
        if api is None or not api.in_place:
            return None
        target = call.argument(api.target.position, *api.target.keywords)
        bound = call.argument(api.bound.position, *api.bound.keywords)
        return Seen(
            Action.CLIP_GRADIENTS,
            call,
            models=self.owners(target.code, env) if target else frozenset(),
            bound=bound.code if bound else None,
        )

    def _framework_clip(self, call: Call, env: Env) -> Seen | None:
        """`accelerator.clip_grad_norm_(parameters, 1.0)`, `fabric.clip_gradients(model, optimizer, …)`, and FSDP's
        `model.clip_grad_norm_(1.0)`."""
        if call.method not in _FRAMEWORK_CLIPS or call.receiver is None or call.callee.api is not None:
            return None
        arguments = call.arguments
        target = arguments[0].code if arguments else None
        if target is None or target.number is not None:
            return Seen(Action.CLIP_GRADIENTS, call, models=_one(self.key(call.receiver, env)), bound=target)
        bound = call.argument(1, "max_norm", "clip_value", "clip_val", "gradient_clip_val")
        key = self.key(target, env)
        if self.is_optimizer(target, key):
            return Seen(Action.CLIP_GRADIENTS, call, optimizer=key, bound=bound.code if bound else None)
        return Seen(
            Action.CLIP_GRADIENTS,
            call,
            models=self.owners(target, env) or _one(key),
            bound=bound.code if bound else None,
        )

    def _value_clip(self, call: Call, env: Env) -> Seen | None:
        """`p.grad.data.clamp_(…)` and `p.data.clamp_(…)` over parameters."""
        clip = self.clips.get(call.node)
        if clip is None or not clip.in_place or clip.tensor is None:
            return None
        action = {"gradient": Action.CLIP_GRADIENTS, "parameter": Action.CLIP_WEIGHTS}.get(clip.tensor.role)
        if action is None:
            return None
        owner = clip.tensor.owner
        return Seen(action, call, models=_one(self.key(owner, env) if owner else None))

    def owners(self, code: Code, env: Env) -> frozenset[str]:
        """The models that the parameters in an expression belong to; none if some may belong to others."""
        models, is_complete = self.reading.networks.whose_parameters(code.node)
        if not is_complete:
            value = code.value
            known = isinstance(value, Many) and isinstance(value.element, Tensor) and value.element.owner is not None
            models = [value.element.owner] if known else []  # type: ignore[union-attr, list-item]
        keys = [self.key(model, env) for model in models]
        return frozenset(key for key in keys if key is not None) if None not in keys else frozenset()

    def _zero_grad(self, call: Call, env: Env) -> Seen:
        receiver = call.receiver
        if receiver is None:
            return Seen(Action.UNKNOWN, call)
        key = self.key(receiver, env)
        if self.is_optimizer(receiver, key):
            return Seen(Action.ZERO_GRAD, call, optimizer=key)
        return Seen(Action.ZERO_GRAD, call, models=_one(key))

    def _scaler_of_loss(self, call: Call, env: Env) -> str | None:
        """The scaler of `scaler.scale(loss).backward()`, also when the scaled loss has a name."""
        loss = call.receiver
        if loss is None:
            return None
        for made in self._made_by(loss):
            if made.method == "scale" and made.receiver is not None:
                key = self.key(made.receiver, env)
                if self.is_scaler(made.receiver, key):
                    return key
        return None

    def _made_by(self, code: Code) -> Iterator[Call]:
        if isinstance(code, Call):
            yield code
        elif isinstance(code.node, cst.Name):
            for binding in self.reading.flow.reaching(code.node):
                if isinstance(binding.value, cst.Call) and not binding.path:
                    yield Call(binding.value, self.reading)

    def _step(self, call: Call, env: Env) -> Iterator[Seen]:
        receiver = call.receiver
        if receiver is None:
            return
        key = self.key(receiver, env)
        if self.is_scaler(receiver, key):
            yield Seen(Action.STEP, call, self._first(call, env), scaler=key)
        elif self.is_optimizer(receiver, key):
            yield Seen(Action.STEP, call, optimizer=key)
        elif (trainer := trainer_of(self.reading, receiver.node)) is not None and "step" in trainer.steps:
            yield Seen(Action.STEP, call, optimizer=key)
            yield Seen(Action.ZERO_GRAD, call, optimizer=key)

    def _is_opaque(self, call: Call, name: str | None, env: Env) -> bool:
        """Whether a call that this file does not show may clip, step or run the backward pass."""
        if name is None or name in BOOKKEEPING or _HARMLESS.search(name) or name[:1].isupper():
            return False
        if _OPAQUE.search(name):
            return True
        for argument in call.arguments:
            key = self.key(argument.code, env)
            if key is not None and (self.is_optimizer(argument.code, key) or self.is_scaler(argument.code, key)):
                return True
        return False


def _one(key: str | None) -> frozenset[str]:
    return frozenset() if key is None else frozenset({key})
