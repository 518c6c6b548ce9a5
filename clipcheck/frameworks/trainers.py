"""The trainers: what runs the backward pass, the step and the clip in the user's place.

As the documentation of accelerate 1, lightning 2, deepspeed and torch 2 tells it; not settled by running them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trainer:
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
    makers=frozenset({"accelerate.Accelerator", "accelerate.accelerator.Accelerator"}),
    names=frozenset({"accelerator"}),
    unscales=frozenset({"unscale_gradients"}),
    norm="clip_grad_norm_",
    value="clip_grad_value_",
)
DEEPSPEED = Trainer(
    "DeepSpeed",
    makers=frozenset({"deepspeed.initialize"}),
    names=frozenset({"model_engine", "ds_engine", "deepspeed_engine"}),
    packages=frozenset({"deepspeed"}),
    part=0,
    steps=frozenset({"step"}),
)
FABRIC = Trainer(
    "Fabric",
    makers=frozenset(
        "lightning.Fabric lightning.fabric.Fabric lightning.fabric.fabric.Fabric lightning_fabric.Fabric".split()
    ),
    norm="clip_gradients",
    value="clip_gradients",
)
FSDP = Trainer(
    "FSDP",
    makers=frozenset(
        f"torch.distributed.fsdp.{name}"
        for name in (
            "FullyShardedDataParallel",
            "fully_sharded_data_parallel.FullyShardedDataParallel",
        )
    )
    | {"fairscale.nn.FullyShardedDataParallel", "fairscale.nn.data_parallel.FullyShardedDataParallel"},
    norm="clip_grad_norm_",
)
"""The first FSDP, which wraps a model. The second one (`fully_shard`) is right with torch's own clip."""

TRAINERS = (ACCELERATE, DEEPSPEED, FABRIC, FSDP)
UNSCALING = frozenset().union(*(trainer.unscales for trainer in TRAINERS))

LIGHTNING_MODULES = frozenset(
    f"{package}.{name}"
    for package in ("lightning", "lightning.pytorch", "pytorch_lightning", "lightning.pytorch.core.module")
    for name in ("LightningModule", "core.LightningModule", "core.lightning.LightningModule")
)

BOOKKEEPING = frozenset(
    "optimizers lr_schedulers toggle_optimizer untoggle_optimizer toggled_optimizer configure_optimizers "
    "register_for_checkpointing save_state load_state free_memory log_dict".split()
)
"""Methods of trainers that concern optimizers and leave gradients and weights alone."""

HALF_PRECISION = frozenset({"16", "16-mixed", "fp16", "16-true"})
SHARDING = ("fsdp", "deepspeed")
"""What makes Fabric scale the gradients or shard them."""
