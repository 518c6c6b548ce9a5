"""Gradients that are to be bounded before the update."""
