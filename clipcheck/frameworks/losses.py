"""Functions on the way from errors to losses to gradients."""

from __future__ import annotations

from clipcheck.frameworks.names import last_names

_LIBRARIES = ("torch", "tensorflow", "tensorflow.math", "keras.ops", "keras.backend", "theano.tensor", "jax.numpy")


def _of_each_library(names: str) -> frozenset[str]:
    return frozenset(f"{library}.{name}" for library in _LIBRARIES for name in names.split())


MEANS = _of_each_library("mean reduce_mean")
REDUCTIONS = MEANS | _of_each_library("sum reduce_sum nansum nanmean")
REDUCING_METHODS = frozenset({"mean", "sum", "nanmean", "nansum"})

SQUARES = _of_each_library("square sqr")
POWERS = _of_each_library("pow power")
ABSOLUTES = _of_each_library("abs absolute")

LINEAR = _of_each_library(
    "add add_n stack cat concat concatenate cast identity squeeze expand_dims reshape negative neg multiply mul where "
    "subtract sub"
)
LINEAR_METHODS = frozenset(
    "view reshape squeeze unsqueeze flatten float double to cuda cpu type contiguous clone scale mul add div sub "
    "mul_ add_ div_ masked_select".split()
)
"""What hands a gradient on."""

DIFFERENTIATING = frozenset(
    "tensorflow.gradients keras.backend.gradients torch.autograd.grad torch.autograd.backward theano.tensor.grad "
    "theano.grad".split()
)
DIFFERENTIATING_METHODS = frozenset(
    "backward manual_backward minimize compute_gradients gradient get_updates get_gradients add_loss".split()
)
"""The methods whose first argument is differentiated, or becomes part of what is."""

SCALAR_LOSSES = frozenset(
    f"torch.nn.functional.{name}"
    for name in (
        "cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss huber_loss kl_div binary_cross_entropy "
        "binary_cross_entropy_with_logits ctc_loss cosine_embedding_loss triplet_margin_loss gaussian_nll_loss"
    ).split()
)
"""The loss functions that return one number unless `reduction` is given."""


SQUARES_BY_NAME = last_names(SQUARES, POWERS)
KEEPING_ERRORS_BY_NAME = last_names(REDUCTIONS, REDUCING_METHODS, LINEAR_METHODS)
"""By the last parts of their names: what squares an error, and what hands it on alone."""
