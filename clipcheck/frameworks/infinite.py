"""Functions that are infinite, or have an infinite derivative, where a probability reaches 0 or 1."""

from __future__ import annotations

from clipcheck.frameworks.names import last_names

LOGS = frozenset(
    "torch.log torch.log2 torch.log10 numpy.log numpy.log2 numpy.log10 tensorflow.log tensorflow.math.log "
    "keras.ops.log keras.ops.log2 keras.ops.log10 keras.backend.log theano.tensor.log jax.numpy.log math.log".split()
)
LOG_METHODS = frozenset({"log", "log2", "log10"})
"""-inf at 0."""

LOG1PS = frozenset(
    "torch.log1p numpy.log1p tensorflow.math.log1p tensorflow.log1p keras.ops.log1p theano.tensor.log1p "
    "jax.numpy.log1p".split()
)

AT_ONE = frozenset(
    "torch.logit torch.special.logit torch.atanh torch.arctanh torch.erfinv torch.special.erfinv numpy.arctanh "
    "tensorflow.atanh tensorflow.math.atanh tensorflow.math.erfinv keras.ops.arctanh jax.numpy.arctanh".split()
)
AT_ONE_METHODS = frozenset({"logit", "atanh", "arctanh", "erfinv"})
"""Infinite at 1."""

DIVISIONS = frozenset("torch.div torch.divide tensorflow.divide tensorflow.math.divide tensorflow.div".split())
POWERS = frozenset(
    "torch.pow tensorflow.pow tensorflow.math.pow keras.backend.pow keras.ops.power numpy.power theano.tensor.pow "
    "jax.numpy.power".split()
)

UNCHANGED = frozenset(
    f"{library}.{name}"
    for library in ("torch", "tensorflow", "keras.ops", "keras.backend", "numpy", "jax.numpy", "theano.tensor")
    for name in (
        "where reshape transpose squeeze unsqueeze expand_dims cat concat concatenate stack gather multiply mul cast "
        "flatten permute_dimensions identity convert_to_tensor switch broadcast_to take negative neg split"
    ).split()
) | {"tensorflow.math.multiply", "torch.gather"}
UNCHANGED_METHODS = frozenset(
    "view reshape squeeze unsqueeze permute transpose expand expand_as view_as contiguous flatten float cpu cuda to "
    "detach clone gather type t index_select unbind mul numpy".split()
)
"""What leaves a number that is 0 or 1 what it is, or multiplies it."""

BOUNDED = frozenset(
    f"{library}.{name}"
    for library in ("torch", "tensorflow", "tensorflow.math", "keras.ops", "keras.backend", "numpy", "jax.numpy")
    for name in "nan_to_num maximum clip clamp clip_by_value multiply_no_nan".split()
)
BOUNDED_METHODS = frozenset({"clamp", "clip", "clamp_", "clamp_min", "nan_to_num", "nan_to_num_", "masked_fill"})
"""What makes an infinite number finite again."""

UNIFORM = frozenset({"rand", "rand_like", "uniform", "uniform_", "random", "random_uniform", "random_sample"})
"""The last names of functions that draw from [0, 1): their result is never 1."""

WIDE = frozenset({"float64", "double", "DoubleTensor", "set_default_dtype", "set_default_tensor_type", "set_floatx"})
"""Names that make it possible that numbers are wider than float32."""

MANTISSA = {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53}
"""The bits that hold a number's digits, the hidden one included."""


LOGS_BY_NAME = last_names(LOGS, LOG_METHODS, LOG1PS)
AT_ZERO_BY_NAME = LOGS_BY_NAME | last_names(DIVISIONS, POWERS)
AT_ONE_BY_NAME = last_names(AT_ONE, AT_ONE_METHODS)
KEEPING_BY_NAME = last_names(DIVISIONS, POWERS, UNCHANGED, UNCHANGED_METHODS)
"""By the last parts of their names: what may be infinite, and what hands zeros and ones on."""
