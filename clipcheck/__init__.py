"""clipcheck finds and fixes misuse of clipping in training code."""

__version__ = "0.1.0"
