"""Which calls are events of a training step."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.steps.keys import Env
from clipcheck.analysis.steps.objects import Objects, one
from clipcheck.analysis.steps.seen import Seen
from clipcheck.analysis.steps.tensorflow import TensorFlowSteps
from clipcheck.analysis.trainers import bases_of, trainer_of
from clipcheck.frameworks import GRADIENT_CLIPS
from clipcheck.frameworks.trainers import BOOKKEEPING, LIGHTNING_MODULES, UNSCALING
from clipcheck.model.code import Call, Code
from clipcheck.model.steps import Action

_FRAMEWORK_CLIPS = frozenset({"clip_grad_norm_", "clip_grad_value_", "clip_gradients"})
LIGHTNING = "Lightning"
APEX = "amp"
"""The key of what scales the loss in Apex, which keeps it to itself."""
_OPAQUE = re.compile(
    r"backward|zero_grad|optimi[sz]|train_(step|batch|one)|update_(param|model|weight)|clip_grad|grad_clip"
)
_HARMLESS = re.compile(
    r"^(print|len|isinstance|hasattr|getattr|setattr|id|type|str|repr|list|tuple|dict|zip|enumerate|append|update|"
    r"state_dict|load_state_dict|save|save_checkpoint|load_checkpoint|info|debug|log|prepare|setup|to|add_param_group)$|"
    r"(sched|Scheduler|LR$|lr_|resume|restore|summary)",
)


class Recognizer(Objects):
    def __init__(self, reading: FileReading) -> None:
        super().__init__(reading)
        self.tensorflow = TensorFlowSteps(self)
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
        yield from self.tensorflow.clip_calls
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
        elif by_value := list(self.tensorflow.events(call, env)):
            yield from by_value
        elif name == "zero_grad":
            yield self._zero_grad(call, env)
        elif name in ("backward", "manual_backward"):
            yield Seen(Action.BACKWARD, call, scaler=self._scaler_of_loss(call, env), trainer=self._trainer(call))
        elif (name == "unscale_" and call.receiver is not None) or (name in UNSCALING and call.receiver is not None):
            yield Seen(Action.UNSCALE, call, self.first(call, env), self.key(call.receiver, env))
        elif name == "step":
            yield from self._step(call, env)
        elif call.callee.text in self.clipped_models:
            yield Seen(Action.FORWARD, call, models=one(self.key(call.callee, env)))
        elif self._is_opaque(call, name, env):
            yield Seen(Action.UNKNOWN, call)

    def _gradient_clip(self, call: Call, env: Env) -> Seen | None:
        api = GRADIENT_CLIPS.get(call.callee.api or "")
        if api is None or not api.in_place:
            return None
        target = call.argument(api.target.position, *api.target.keywords)
        bound = call.argument(api.bound.position, *api.bound.keywords)
        return Seen(
            Action.CLIP_GRADIENTS,
            call,
            self._optimizer_of(target.code, env) if target else None,
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
            is_of_receiver = all(argument.code.number is not None for argument in arguments)
            model = self.key(call.receiver, env) if is_of_receiver else None
            return Seen(Action.CLIP_GRADIENTS, call, models=one(model), bound=target)
        key = self.key(target, env)
        is_of_optimizer = self.is_optimizer(target, key)
        place = 2 if call.method == "clip_gradients" and not is_of_optimizer else 1  # Fabric's: (model, optimizer, …)
        bound = call.argument(place, "max_norm", "clip_value", "clip_val", "gradient_clip_val")
        if is_of_optimizer:
            return Seen(Action.CLIP_GRADIENTS, call, optimizer=key, bound=bound.code if bound else None)
        return Seen(
            Action.CLIP_GRADIENTS,
            call,
            models=self.owners(target, env) or one(key),
            bound=bound.code if bound else None,
        )

    def _optimizer_of(self, target: Code, env: Env) -> str | None:
        """The optimizer of Apex's `amp.master_params(optimizer)`."""
        return self.first(target, env) if isinstance(target, Call) and target.method == "master_params" else None

    def _trainer(self, call: Call) -> str | None:
        """The trainer that runs the backward pass of a loss that it is handed."""
        if call.method == "manual_backward":
            return LIGHTNING
        is_handed = call.receiver is not None and call.arguments
        trainer = trainer_of(self.reading, call.receiver.node) if call.receiver is not None and is_handed else None
        return trainer.name if trainer is not None else None

    def _value_clip(self, call: Call, env: Env) -> Seen | None:
        """`p.grad.data.clamp_(…)` and `p.data.clamp_(…)` over parameters."""
        clip = self.clips.get(call.node)
        if clip is None or not clip.in_place or clip.tensor is None:
            return None
        action = {"gradient": Action.CLIP_GRADIENTS, "parameter": Action.CLIP_WEIGHTS}.get(clip.tensor.role)
        if action is None:
            return None
        owner = clip.tensor.owner
        return Seen(action, call, models=one(self.key(owner, env) if owner else None))

    def _zero_grad(self, call: Call, env: Env) -> Seen:
        receiver = call.receiver
        if receiver is None:
            return Seen(Action.UNKNOWN, call)
        key = self.key(receiver, env)
        if self.is_optimizer(receiver, key):
            return Seen(Action.ZERO_GRAD, call, optimizer=key)
        return Seen(Action.ZERO_GRAD, call, models=one(key))

    def _scaler_of_loss(self, call: Call, env: Env) -> str | None:
        """The scaler of `scaler.scale(loss).backward()`, also when the scaled loss has a name."""
        loss = call.receiver
        if loss is None:
            return None
        for made in self._made_by(loss):
            if made.method == "scale_loss":
                return APEX
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
            yield Seen(Action.STEP, call, self.first(call, env), scaler=key)
        elif self.is_optimizer(receiver, key):
            if self._runs_lightning(call):
                yield Seen(Action.ZERO_GRAD, call, optimizer=key)
                yield Seen(Action.BACKWARD, call, trainer=LIGHTNING)
            yield Seen(Action.STEP, call, optimizer=key)
        elif (trainer := trainer_of(self.reading, receiver.node)) is not None and "step" in trainer.steps:
            yield Seen(Action.STEP, call, optimizer=key, trainer=trainer.name)
            yield Seen(Action.ZERO_GRAD, call, optimizer=key, trainer=trainer.name)

    def _runs_lightning(self, call: Call) -> bool:
        """Whether a step runs the closure that Lightning hands to `optimizer_step`: zeroing and the backward pass."""
        closure = call.argument(0, "closure")
        function, class_ = self.reading.function(call.node), self.reading.class_of(call.node)
        if closure is None or function is None or class_ is None or function.name.value != "optimizer_step":
            return False
        is_new = closure.code.text in ("optimizer_closure", "closure")  # an older one, of another name, did less
        return is_new and any(base in LIGHTNING_MODULES for base in bases_of(self.reading, class_))

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
