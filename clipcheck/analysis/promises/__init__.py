"""Finds what a script promises to keep within bounds: weights, gradients, the outputs of layers."""

from clipcheck.analysis.promises.read import read_promises, read_step_calls

__all__ = ["read_promises", "read_step_calls"]
