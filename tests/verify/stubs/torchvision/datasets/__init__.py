"""As in torchvision 0.28, without the reading of files."""

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from torchvision.datasets import lsun
from torchvision.datasets.lsun import LSUN, LSUNClass

__all__ = ["LSUN", "LSUNClass", "lsun"]


class VisionDataset(Dataset):
    def __init__(self, root, transforms=None, transform=None, target_transform=None):
        self.root = root
        self.transform = transform
        self.target_transform = target_transform
        self.transforms = transforms

    def __len__(self):
        return len(self.data)

    def _transformed(self, image, target):
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target


class MNIST(VisionDataset):
    classes = tuple(f"{number} - word" for number in range(10))

    def __init__(self, root, train=True, transform=None, target_transform=None, download=False):
        raise RuntimeError("Dataset not found. You can use download=True to download it")

    def __getitem__(self, index):
        return self._transformed(Image.fromarray(self.data[index].numpy()), int(self.targets[index]))


class FashionMNIST(MNIST):
    classes = tuple(f"garment {number}" for number in range(10))


class EMNIST(MNIST):
    def __init__(self, root, split, **kwargs):
        self.split = split
        self.classes_split_dict = {"letters": ["N/A", *"abcdefghijklmnopqrstuvwxyz"]}
        super().__init__(root, **kwargs)
        self.classes = self.classes_split_dict[split]


class CIFAR10(VisionDataset):
    def __init__(self, root, train=True, transform=None, target_transform=None, download=False):
        raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")

    def __getitem__(self, index):
        return self._transformed(Image.fromarray(self.data[index]), self.targets[index])


class CIFAR100(CIFAR10):
    pass


class SVHN(VisionDataset):
    def __init__(self, root, split="train", transform=None, target_transform=None, download=False):
        raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")

    def __getitem__(self, index):
        return self._transformed(Image.fromarray(np.transpose(self.data[index], (1, 2, 0))), int(self.labels[index]))


class STL10(SVHN):
    def __init__(self, root, split="train", folds=None, transform=None, target_transform=None, download=False):
        raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")


class CelebA(VisionDataset):
    def __init__(self, root, split="train", target_type="attr", transform=None, target_transform=None, download=False):
        raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")

    def __getitem__(self, index):
        raise FileNotFoundError(self.filename[index])

    def __len__(self):
        return len(self.attr)


class ImageFolder(VisionDataset):
    def __init__(self, root, transform=None, target_transform=None, loader=None, is_valid_file=None):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        self.samples = [(f"{root}/mine/0.png", 0)]

    def __getitem__(self, index):
        path, target = self.samples[index]
        return self._transformed(self.loader(path), target)

    def __len__(self):
        return len(self.samples)
