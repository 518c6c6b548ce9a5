"""What of torchvision's datasets the stand-ins build on: their classes, how they read one sample, and their failure.

The wheels of torchvision are made for the CUDA builds of torch, and cannot be imported beside a CPU build.
"""

from torchvision import datasets

__all__ = ["datasets"]
