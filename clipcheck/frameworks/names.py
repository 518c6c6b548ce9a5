"""One name for each API, however it is imported."""

from __future__ import annotations

import re
from collections.abc import Iterable

# The first pattern that matches is rewritten, and then the next ones are tried on the result.
_SAME = (
    (r"^tensorflow\.(?:compat\.v[12]\.)?(?:python\.|contrib\.|_api\.v2\.)?keras\.", "keras."),
    (r"^tf_keras\.", "keras."),
    (r"^tensorflow\.(?:compat\.v2\.)?optimizers\.", "keras.optimizers."),
    (r"^keras\.(?:src|api)\.", "keras."),
    (r"^keras\.legacy\.", "keras."),
    (r"^keras\.engine\.(?:\w+\.)*(Layer|InputSpec)$", r"keras.layers.\1"),
    (r"^keras\.engine\.(?:\w+\.)*(Input|InputLayer)$", r"keras.layers.\1"),
    (r"^keras\.(?:engine|models)\.(?:\w+\.)*(Model|Sequential)$", r"keras.\1"),
    (r"^keras\.(Layer|Input|InputSpec)$", r"keras.layers.\1"),
    (r"^keras\.models\.Input$", "keras.layers.Input"),
    (r"^keras\.layers\.(?:[a-z]\w*\.)+(\w+)$", r"keras.layers.\1"),
    (r"^keras\.optimizers\.(?!schedules)(?:[a-z]\w*\.)+(\w+)$", r"keras.optimizers.\1"),
    (r"^keras\.Optimizer$", "keras.optimizers.Optimizer"),
    (r"^keras\.constraints\.(?:[a-z]\w*\.)+([A-Z]\w+)$", r"keras.constraints.\1"),
    (r"^keras\.(?:utils|saving)\.(?:\w+\.)*(register_keras_serializable)$", r"keras.saving.\1"),
    (
        r"^keras\.(?:utils|saving)\.(?:\w+\.)*(custom_object_scope|CustomObjectScope|get_custom_objects)$",
        r"keras.saving.\1",
    ),
    (r"^keras\.(?:models|saving)\.(?:\w+\.)*load_model$", "keras.models.load_model"),
    (r"^keras\.backend\.(?:\w+\.)+(\w+)$", r"keras.backend.\1"),
    (r"^tensorflow\.compat\.v[12]\.", "tensorflow."),
    (r"^(?:pytorch_lightning|lightning\.pytorch)\.", "lightning."),
    (r"^lightning\.core\.(?:\w+\.)*LightningModule$", "lightning.LightningModule"),
    (r"^lightning\.trainer\.(?:\w+\.)*Trainer$", "lightning.Trainer"),
    (r"^(?:lightning\.fabric|lightning_fabric)\.(?:\w+\.)*Fabric$", "lightning.Fabric"),
    (r"^accelerate\.accelerator\.", "accelerate."),
    (r"^torch\.distributed\.fsdp\.fully_sharded_data_parallel\.", "torch.distributed.fsdp."),
    (r"^fairscale\.nn\.(?:\w+\.)+FullyShardedDataParallel$", "fairscale.nn.FullyShardedDataParallel"),
    (r"^torch\.nn\.utils\.clip_grad\.", "torch.nn.utils."),
    (r"^torch\.nn\.modules\.(?:\w+\.)*(\w+)$", r"torch.nn.\1"),
    (r"^torch\.nn\.parameter\.", "torch.nn."),
    (r"^torch\.optim\.(?!lr_scheduler|swa_utils)(?:[a-z]\w*\.)+([A-Z]\w*)$", r"torch.optim.\1"),
    (r"^theano\.tensor\.(?:basic|var)\.", "theano.tensor."),
)

_known: dict[str, str] = {}


def canonical(name: str) -> str:
    """The name under which the tables know an API: "keras.layers.Dense" for "tensorflow.keras.layers.Dense"."""
    known = _known.get(name)
    if known is None:
        known = name
        for pattern, same in _SAME:
            known = re.sub(pattern, same, known)
        _known[name] = known
    return known


def library_of(name: str) -> str:
    """The library of a canonical name: "torch", "keras", "tensorflow", "numpy", "theano", or its first part."""
    return name.split(".", 1)[0]


def last_names(*apis: Iterable[str]) -> frozenset[str]:
    """What functions and methods are called behind their last dot: "clamp" for "torch.clamp"."""
    return frozenset(api.rpartition(".")[2] for some in apis for api in some)
