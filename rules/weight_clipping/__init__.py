"""Weights that are to stay in [-c, c]."""
