"""What each API of the frameworks means, as tables: one module a framework.

A new framework is a new module here, added to the tables below; every rule then works for it.
"""

from clipcheck.frameworks import keras, numpy, tensorflow, torch
from clipcheck.frameworks.api import ClipGradients, ClipValues, Layer, Optimizer
from clipcheck.frameworks.names import canonical, library_of

CLIPS: dict[str, ClipValues] = {**keras.CLIPS, **torch.CLIPS, **tensorflow.CLIPS, **numpy.CLIPS}
METHOD_CLIPS: dict[str, ClipValues] = torch.METHOD_CLIPS
GRADIENT_CLIPS: dict[str, ClipGradients] = {**torch.GRADIENT_CLIPS, **tensorflow.GRADIENT_CLIPS}
OPTIMIZERS: dict[str, Optimizer] = {**keras.OPTIMIZERS, **torch.OPTIMIZERS, **tensorflow.OPTIMIZERS}
LAYERS: dict[str, Layer] = keras.LAYERS
BASES: dict[str, str] = {**keras.BASES, **torch.BASES}
TENSOR_METHODS: dict[str, tuple[str, ...]] = {**keras.TENSOR_METHODS, **torch.TENSOR_METHODS}

WATCHED = frozenset({"keras.backend.clip", "torch.nn.utils.clip_grad_norm"})
"""The functions that are gone or going, so that rules ask for every use of them, called or not."""

_CLASS_NAMESPACES = (
    "keras.layers.",
    "keras.constraints.",
    "keras.optimizers.",
    "keras.models.",
    "keras.",
    "torch.nn.",
    "torch.optim.",
)
_FUNCTIONS = CLIPS.keys() | GRADIENT_CLIPS.keys()


def knows(name: str) -> bool:
    """Whether a canonical name is surely one of the frameworks', so that a star import may be what binds it."""
    if name in _FUNCTIONS:
        return True
    namespace, _, last = name.rpartition(".")
    return last[:1].isupper() and f"{namespace}." in _CLASS_NAMESPACES


def lists(name: str) -> bool:
    """Whether a table names exactly this: surer than `knows`, which goes by the look of a name."""
    return name in _FUNCTIONS or name in LAYERS or name in OPTIMIZERS or name in BASES or name in keras.CONSTRAINTS


def tensor_library(name: str) -> str | None:
    """The library whose tensor (or array) a function of this canonical name returns, if it returns one."""
    namespace, _, last = name.rpartition(".")
    namespace += "."
    if last[:1].isupper() or last.startswith("_"):
        return None
    if namespace in torch.TENSOR_NAMESPACES and last not in torch.NOT_TENSORS:
        return "torch"
    if namespace in numpy.ARRAY_NAMESPACES and last not in numpy.NOT_ARRAYS:
        return "numpy"
    if namespace in tensorflow.TENSOR_NAMESPACES and last not in tensorflow.NOT_TENSORS:
        return "tensorflow"
    if name.startswith(("keras.ops.", "keras.backend.", "keras.random.")) and last not in ("function", "gradients"):
        return "keras"
    if name.startswith("theano.tensor."):
        return "theano"
    return None


__all__ = [
    "BASES",
    "CLIPS",
    "GRADIENT_CLIPS",
    "LAYERS",
    "METHOD_CLIPS",
    "OPTIMIZERS",
    "TENSOR_METHODS",
    "WATCHED",
    "canonical",
    "knows",
    "library_of",
    "lists",
    "tensor_library",
]
