"""Standard datasets without a download: random data of the same shapes, types and ranges.

Only the loaders of datasets are replaced, and only those named in the modules below; what else reads or downloads
files is left alone. The data come from generators of their own: the script's random numbers are those of a run
without fake data.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from clipcheck.verify.child import fake_keras, fake_torchvision

_INSTALLERS: dict[str, Callable[[ModuleType, int], None]] = {
    "keras": fake_keras.install,
    "tf_keras": fake_keras.install,
    "torchvision": fake_torchvision.install,
}


def install(module: ModuleType, seed: int) -> None:
    """Replace the dataset loaders of a package that has just been imported."""
    _INSTALLERS[module.__name__](module, seed)
