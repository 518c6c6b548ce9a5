"""NumPy, and Theano, whose arrays old WGAN code clips."""

from __future__ import annotations

from clipcheck.frameworks.api import At, ClipValues

CLIPS: dict[str, ClipValues] = {
    "numpy.clip": ClipValues(
        "numpy", At(0, ("a",)), At(1, ("a_min", "min")), At(2, ("a_max", "max")), one_sided=True, into="out"
    ),
    "jax.numpy.clip": ClipValues(
        "jax", At(0, ("a", "arr")), At(1, ("a_min", "min")), At(2, ("a_max", "max")), one_sided=True
    ),
    "theano.tensor.clip": ClipValues("theano", At(0, ("x",)), At(1, ("min",)), At(2, ("max",))),
}

NOT_ARRAYS = frozenset(
    (
        "save savez load seterr errstate finfo iinfo dtype set_printoptions shape ndim size isscalar allclose "
        "array_equal savez_compressed loadtxt savetxt set_state seed default_rng vectorize unique where "
        "nditer ndenumerate meshgrid isclose_ printoptions may_share_memory"
    ).split()
)

ARRAY_NAMESPACES = ("numpy.", "numpy.random.", "numpy.linalg.", "numpy.fft.", "numpy.ma.")

ARRAY_ANNOTATIONS = frozenset({"numpy.ndarray", "numpy.array", "numpy.typing.NDArray", "numpy.typing.ArrayLike"})
