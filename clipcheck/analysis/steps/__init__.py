"""Reads the training steps: the events of each body of code, along its paths, with helpers of the file inlined."""

from clipcheck.analysis.steps.read import read_steps

__all__ = ["read_steps"]
