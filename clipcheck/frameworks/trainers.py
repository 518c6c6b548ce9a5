"""The trainers: what runs the backward pass, the step and the clip in the user's place.

As the source of accelerate 1.15, lightning 2.6, deepspeed 0.19, transformers 5.23, trl 1.16 and torch 2.13 has it.
"""

from __future__ import annotations

import re

from msgspec import Struct


class Trainer(Struct, frozen=True):
    """A kind of object that owns the gradients of a training step.

    makers: the calls that make one. part: which part of what the maker returns it is, where that is a tuple.
    names: what everybody calls it; that counts where its making is in another file that imports one of `packages` (any
    file, if there are none). steps: the methods that update the weights and then zero the gradients. unscales: the
    methods that take the loss scale out of the gradients. norm, value: its own clips, by norm and by value.
    """

    name: str
    makers: frozenset[str]
    names: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    part: int | None = None
    steps: frozenset[str] = frozenset()
    unscales: frozenset[str] = frozenset()
    norm: str | None = None
    value: str | None = None


ACCELERATE = Trainer(
    "Accelerate",
    makers=frozenset({"accelerate.Accelerator"}),
    names=frozenset({"accelerator"}),
    unscales=frozenset({"unscale_gradients"}),
    norm="clip_grad_norm_",
    value="clip_grad_value_",
)
"""`clip_grad_value_` raises where it runs under FSDP or DeepSpeed."""

DEEPSPEED = Trainer(
    "DeepSpeed",
    makers=frozenset({"deepspeed.initialize"}),
    names=frozenset({"model_engine", "ds_engine", "deepspeed_engine"}),
    packages=frozenset({"deepspeed"}),
    part=0,
    steps=frozenset({"step"}),
)
FABRIC = Trainer("Fabric", makers=frozenset({"lightning.Fabric"}), norm="clip_gradients", value="clip_gradients")
FSDP = Trainer(
    "FSDP",
    makers=frozenset({"torch.distributed.fsdp.FullyShardedDataParallel", "fairscale.nn.FullyShardedDataParallel"}),
    norm="clip_grad_norm_",
)
"""The first FSDP, which wraps a model. The second one (`fully_shard`) is right with torch's own clip."""

TRAINERS = (ACCELERATE, DEEPSPEED, FABRIC, FSDP)
UNSCALING = frozenset().union(*(trainer.unscales for trainer in TRAINERS))

LIGHTNING_MODULES = frozenset({"lightning.LightningModule"})

BOOKKEEPING = frozenset(
    "optimizers lr_schedulers toggle_optimizer untoggle_optimizer toggled_optimizer configure_optimizers "
    "register_for_checkpointing save_state load_state free_memory log_dict setup_module setup_optimizers "
    "no_backward_sync no_sync initialize master_params scale_loss compile".split()
)
"""Methods of trainers that concern optimizers and leave gradients and weights alone."""

DIVIDES_LATER = "delay_unscale"
"""The argument of Apex's `scale_loss` by which the gradients may stay scaled when its block is left."""

HALF_PRECISION = frozenset({"16", "16-mixed"})
"""The precisions in which Lightning and Fabric scale the loss; in "16-true" they do not."""

DEEPSPEED_SETTINGS = frozenset("fp16 bf16 bfloat16 amp torch_autocast zero_optimization".split())
"""The entries of a DeepSpeed configuration of which one must be there for the engine to keep gradients to itself."""


class ClippingTrainer(Struct, frozen=True):
    """A trainer that clips by itself before its step, if it is told to.

    configured: the calls that tell it, with which argument. classes: the classes whose `hooks` it runs before it
    clips; a class that defines one of `replaced_by` clips in its place.
    """

    configured: re.Pattern[str]
    argument: str
    classes: re.Pattern[str]
    hooks: frozenset[str]
    replaced_by: frozenset[str]


CLIPPING_TRAINERS = (
    ClippingTrainer(
        re.compile(r"^lightning\.Trainer$"),
        "gradient_clip_val",
        re.compile(r"^lightning\.LightningModule$"),
        frozenset({"on_after_backward", "on_before_optimizer_step"}),
        frozenset({"configure_gradient_clipping"}),
    ),
    ClippingTrainer(
        re.compile(r"^(transformers\.(\w*\.)*\w*TrainingArguments|trl\.(\w+\.)*[A-Z]\w*Config)$"),
        "max_grad_norm",
        re.compile(r"^(transformers|trl)\.(\w+\.)*\w*Trainer$"),
        frozenset({"training_step"}),
        frozenset({"_clip_grad_norm", "_inner_training_loop"}),
    ),
)
