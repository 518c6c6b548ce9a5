"""Reads a syntax tree into the model: names, values, classes, clips."""

from clipcheck.analysis.script import read as read_script

__all__ = ["read_script"]
