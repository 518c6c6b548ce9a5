"""The datasets of `torchvision.datasets`: filled at random, then read by torchvision's own code.

| dataset | samples | images |
|---|---|---|
| MNIST, FashionMNIST, KMNIST, EMNIST | 60000 and 10000 (EMNIST: by its split) | 28 × 28, grey |
| CIFAR10, CIFAR100 | 50000 and 10000 | 32 × 32 |
| SVHN | 73257, 26032, extra 531131 | 32 × 32 |
| STL10 | 5000, 8000, unlabelled 100000 | 96 × 96 |
| CelebA | 162770, 19867, 19962 | 178 × 218, made when they are read |
| LSUN | by class | 341 × 256, made when they are read |
| ImageFolder whose folder is not there | 1000 in 2 classes | 256 × 256, made when they are read |
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from clipcheck.verify.child.fake_random import generator, labels, pixels

_EMNIST = {
    "byclass": (697932, 116323),
    "bymerge": (697932, 116323),
    "balanced": (112800, 18800),
    "letters": (124800, 20800),
    "digits": (240000, 40000),
    "mnist": (60000, 10000),
}
_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()
_SVHN = {"train": 73257, "test": 26032, "extra": 531131}
_STL10 = {"train": (5000, 0), "test": (8000, 0), "unlabeled": (0, 100000), "train+unlabeled": (5000, 100000)}
_STL10_FOLD = 1000
_CELEBA = {"train": 162770, "valid": 19867, "test": 19962, "all": 202599}
_LSUN = {
    "bedroom": 3033042,
    "bridge": 818687,
    "church_outdoor": 126227,
    "classroom": 168103,
    "conference_room": 229069,
    "dining_room": 657571,
    "kitchen": 2212277,
    "living_room": 1315802,
    "restaurant": 626331,
    "tower": 708264,
}
_FOLDER_CLASSES, _FOLDER_IMAGES = ["class0", "class1"], 500


def install(module: ModuleType, seed: int) -> None:
    datasets = importlib.import_module(f"{module.__name__}.datasets")
    for name, stand_in in _STAND_INS.items():
        if owner := getattr(datasets, name, None):
            stand_in(datasets, owner, seed)
    if owner := getattr(importlib.import_module(f"{datasets.__name__}.lsun"), "LSUNClass", None):
        _lsun_class(datasets, owner, seed)


def _mnist(datasets: Any, owner: Any, seed: int) -> None:
    """For its subclasses too: FashionMNIST, KMNIST, EMNIST."""
    import torch

    original = owner.__init__

    def init(
        self: Any,
        root: Any,
        train: bool = True,
        transform: Any = None,
        target_transform: Any = None,
        download: bool = False,
    ) -> None:
        if isinstance(self, getattr(datasets, "QMNIST", ())):  # Its labels are tables.
            original(self, root, train, transform, target_transform, download)
            return
        datasets.VisionDataset.__init__(self, root, transform=transform, target_transform=target_transform)
        self.train = train
        split = self.split if isinstance(self, datasets.EMNIST) else "mnist"
        classes = self.classes_split_dict[split] if isinstance(self, datasets.EMNIST) else self.classes
        random = generator(seed, _name(self, datasets), split, train)
        count = _EMNIST[split][0 if train else 1]
        first = int(classes[0] == "N/A")  # The letters count from 1.
        self.data = torch.from_numpy(pixels(random, count, 28, 28))
        self.targets = torch.from_numpy(labels(random, count, len(classes) - first) + first)

    owner.__init__ = functools.wraps(original)(init)


def _cifar(datasets: Any, owner: Any, seed: int) -> None:
    """For its subclass too: CIFAR100."""

    def init(
        self: Any,
        root: Any,
        train: bool = True,
        transform: Any = None,
        target_transform: Any = None,
        download: bool = False,
    ) -> None:
        datasets.VisionDataset.__init__(self, root, transform=transform, target_transform=target_transform)
        self.train = train
        hundred = isinstance(self, datasets.CIFAR100)
        self.classes = [f"class{number}" for number in range(100)] if hundred else list(_CIFAR10)
        self.class_to_idx = {name: number for number, name in enumerate(self.classes)}
        random = generator(seed, _name(self, datasets), train)
        count = 50000 if train else 10000
        self.data = pixels(random, count, 32, 32, 3)
        self.targets = labels(random, count, len(self.classes)).tolist()

    owner.__init__ = functools.wraps(owner.__init__)(init)


def _svhn(datasets: Any, owner: Any, seed: int) -> None:
    def init(
        self: Any,
        root: Any,
        split: str = "train",
        transform: Any = None,
        target_transform: Any = None,
        download: bool = False,
    ) -> None:
        datasets.VisionDataset.__init__(self, root, transform=transform, target_transform=target_transform)
        self.split = _known(split, _SVHN)
        random = generator(seed, "SVHN", split)
        self.data = pixels(random, _SVHN[split], 3, 32, 32)
        self.labels = labels(random, _SVHN[split], 10)

    owner.__init__ = functools.wraps(owner.__init__)(init)


def _stl10(datasets: Any, owner: Any, seed: int) -> None:
    def init(
        self: Any,
        root: Any,
        split: str = "train",
        folds: int | None = None,
        transform: Any = None,
        target_transform: Any = None,
        download: bool = False,
    ) -> None:
        datasets.VisionDataset.__init__(self, root, transform=transform, target_transform=target_transform)
        self.split = _known(split, _STL10)
        self.folds = folds
        labelled, others = _STL10[split]
        if labelled and folds is not None and split.startswith("train"):
            labelled = _STL10_FOLD
        random = generator(seed, "STL10", split)
        self.data = pixels(random, labelled + others, 3, 96, 96)
        known = labels(random, labelled, 10, np.uint8)
        self.labels = np.concatenate([known, np.full(others, -1)]) if others else known

    owner.__init__ = functools.wraps(owner.__init__)(init)


def _celeba(datasets: Any, owner: Any, seed: int) -> None:
    import torch

    def init(
        self: Any,
        root: Any,
        split: str = "train",
        target_type: Any = "attr",
        transform: Any = None,
        target_transform: Any = None,
        download: bool = False,
    ) -> None:
        datasets.VisionDataset.__init__(self, root, transform=transform, target_transform=target_transform)
        self.split = split
        self.target_type = target_type if isinstance(target_type, list) else [target_type]
        count = _CELEBA[_known(split.lower(), _CELEBA)]
        random = generator(seed, "CelebA", split.lower())
        self.filename = [f"{number:06}.jpg" for number in range(1, count + 1)]
        self.attr = torch.from_numpy(random.integers(0, 2, (count, 40)))
        self.attr_names = [f"attribute{number}" for number in range(40)]
        self.identity = torch.from_numpy(random.integers(1, 10178, (count, 1)))
        self.bbox = torch.from_numpy(random.integers(0, 500, (count, 4)))
        self.landmarks_align = torch.from_numpy(random.integers(0, 178, (count, 10)))

    def get(self: Any, index: int) -> tuple[Any, Any]:
        image = _image(seed, self.filename[index], width=178, height=218)
        columns = {"attr": self.attr, "bbox": self.bbox, "landmarks": self.landmarks_align}
        targets = tuple(
            self.identity[index, 0] if kind == "identity" else columns[kind][index] for kind in self.target_type
        )
        target = targets if len(targets) > 1 else targets[0] if targets else None
        return _transformed(self, image, target)

    owner.__init__ = functools.wraps(owner.__init__)(init)
    owner.__getitem__ = functools.wraps(owner.__getitem__)(get)


def _lsun_class(datasets: Any, owner: Any, seed: int) -> None:
    """One class of LSUN ("…/bedroom_train_lmdb"); LSUN itself is a chain of them."""

    def init(self: Any, root: Any, transform: Any = None, target_transform: Any = None) -> None:
        datasets.VisionDataset.__init__(self, root, transform=transform, target_transform=target_transform)
        name, _, part = Path(root).name.removesuffix("_lmdb").rpartition("_")
        self.length = 10000 if part == "test" else 300 if part == "val" else _LSUN[name]

    def get(self: Any, index: int) -> tuple[Any, Any]:
        return _transformed(self, _image(seed, f"{Path(self.root).name}/{index}", width=341, height=256), None)

    owner.__init__ = functools.wraps(owner.__init__)(init)
    owner.__getitem__ = functools.wraps(owner.__getitem__)(get)


def _image_folder(datasets: Any, owner: Any, seed: int) -> None:
    """A folder of the user's own images is read; only one that is not there is made up."""
    original = owner.__init__

    def init(
        self: Any, root: Any, transform: Any = None, target_transform: Any = None, *args: Any, **more: Any
    ) -> None:
        if Path(root).expanduser().is_dir():
            original(self, root, transform, target_transform, *args, **more)
            return
        datasets.VisionDataset.__init__(self, root, transform=transform, target_transform=target_transform)
        self.loader = functools.partial(_image, seed, width=256, height=256)
        self.extensions = (".png",)
        self.classes = list(_FOLDER_CLASSES)
        self.class_to_idx = {name: number for number, name in enumerate(self.classes)}
        self.samples = self.imgs = [
            (str(Path(root) / name / f"{index}.png"), target)
            for target, name in enumerate(self.classes)
            for index in range(_FOLDER_IMAGES)
        ]
        self.targets = [target for _, target in self.samples]

    owner.__init__ = functools.wraps(original)(init)


_STAND_INS: dict[str, Callable[[Any, Any, int], None]] = {
    "MNIST": _mnist,
    "CIFAR10": _cifar,
    "SVHN": _svhn,
    "STL10": _stl10,
    "CelebA": _celeba,
    "ImageFolder": _image_folder,
}


def _image(seed: int, name: str, *, width: int, height: int) -> Any:
    """A PIL image that is the same whenever it is read."""
    from PIL import Image

    return Image.fromarray(pixels(generator(seed, name), height, width, 3))


def _transformed(dataset: Any, image: Any, target: Any) -> tuple[Any, Any]:
    if dataset.transform is not None:
        image = dataset.transform(image)
    if target is not None and dataset.target_transform is not None:
        target = dataset.target_transform(target)
    return image, target


def _known(split: str, splits: dict[str, Any]) -> str:
    if split not in splits:
        raise ValueError(f"Unknown value '{split}' for argument split. Valid values are {set(splits)}.")
    return split


def _name(dataset: object, datasets: Any) -> str:
    """The dataset that a class is, or is derived from."""
    name: str = next(cls.__name__ for cls in type(dataset).__mro__ if getattr(datasets, cls.__name__, None) is cls)
    return name
