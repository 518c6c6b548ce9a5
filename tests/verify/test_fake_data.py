"""The stand-ins for standard datasets, in processes of their own: they change the packages for good."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.checkout import ROOT

pytestmark = pytest.mark.frameworks
STUBS = ROOT / "tests" / "verify" / "stubs"


def answers(code: str, *path: Path) -> Any:
    """What a script leaves in `answer`."""
    environment = os.environ | {
        "KERAS_BACKEND": "torch",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT))),
    }
    code = f"{code}\nimport json\nprint(json.dumps(answer))"
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout.splitlines()[-1])


KERAS = """
import random
import numpy as np
import keras
from keras.datasets import mnist, reuters
from clipcheck.verify.child.fake_data import install

np.random.seed(1)
random.seed(1)
untouched = np.random.rand(), random.random()
np.random.seed(1)
random.seed(1)
install(keras, 7)

def told(data):
    return [[list(array.shape), str(array.dtype), float(array.min()), float(array.max())]
            for half in data for array in half]

def rejected(load, **arguments):
    try:
        load(**arguments)
    except (TypeError, ValueError) as error:
        return type(error).__name__
    return ""

(texts, topics), (more, _) = reuters.load_data(num_words=100, maxlen=50, start_char=1, index_from=3)
(raw, _), _ = reuters.load_data(start_char=None, index_from=0, oov_char=None, skip_top=20)
x, y = mnist.load_data()[0]
housing = keras.datasets.california_housing
answer = {
    "mnist": told(mnist.load_data()),
    "cifar10": told(keras.datasets.cifar10.load_data()),
    "coarse": told(keras.datasets.cifar100.load_data(label_mode="coarse")),
    "boston": told(keras.datasets.boston_housing.load_data(test_split=0.5)),
    "small": told(housing.load_data(version="small")),
    "words": [max(map(max, texts)), max(map(len, texts)), {text[0] for text in texts} == {1}, len(texts) > len(more)],
    "raw": min(map(min, filter(None, raw))),
    "topics": int(topics.max()),
    "index": len(reuters.get_word_index()),
    "names": len(reuters.get_label_names()),
    "same again": bool((mnist.load_data()[0][0] == x).all()),
    "other set": bool((keras.datasets.fashion_mnist.load_data()[0][0] == x).all()),
    "writable": x.flags.writeable,
    "rejected": [rejected(mnist.load_data, num_words=3), rejected(keras.datasets.cifar100.load_data, label_mode="x"),
                 rejected(housing.load_data, version="huge"), rejected(reuters.load_data, maxlen=1)],
    "the script's own": (np.random.rand(), random.random()) == untouched,
    "get_file": keras.utils.get_file.__module__,
}
"""


@pytest.fixture(scope="module")
def keras() -> Any:
    return answers(KERAS)


def test_images_have_the_shapes_types_and_ranges_of_the_real_ones(keras):
    assert keras["mnist"] == [
        [[60000, 28, 28], "uint8", 0, 255],
        [[60000], "uint8", 0, 9],
        [[10000, 28, 28], "uint8", 0, 255],
        [[10000], "uint8", 0, 9],
    ]
    assert keras["cifar10"] == [
        [[50000, 32, 32, 3], "uint8", 0, 255],
        [[50000, 1], "uint8", 0, 9],
        [[10000, 32, 32, 3], "uint8", 0, 255],
        [[10000, 1], "uint8", 0, 9],
    ]
    assert [own[:2] + own[3:] for own in keras["coarse"][1::2]] == [
        [[50000, 1], "int64", 19],
        [[10000, 1], "int64", 19],
    ]


def test_tables_are_split_as_asked_for(keras):
    assert [own[:2] for own in keras["boston"]] == [
        [[253, 13], "float64"],
        [[253], "float64"],
        [[253, 13], "float64"],
        [[253], "float64"],
    ]
    assert [own[:2] for own in keras["small"][:2]] == [[[480, 8], "float32"], [[480], "float32"]]
    assert keras["boston"][1][2] >= 5
    assert keras["boston"][1][3] <= 50


def test_texts_obey_the_parameters_of_their_loader(keras):
    assert keras["words"] == [99, 49, True, True]
    assert keras["raw"] == 20
    assert keras["topics"] == 45
    assert (keras["index"], keras["names"]) == (30979, 46)


def test_wrong_arguments_are_refused_as_ever(keras):
    assert keras["rejected"] == ["TypeError", "ValueError", "ValueError", "ValueError"]


def test_the_data_are_seeded_and_the_scripts_random_numbers_are_its_own(keras):
    assert keras["same again"]
    assert not keras["other set"]
    assert keras["writable"]
    assert keras["the script's own"]


def test_other_downloads_are_left_alone(keras):
    assert keras["get_file"].startswith("keras.")


KERAS_2 = """
import tf_keras
from tf_keras.datasets.cifar10 import load_data as imported_before
from clipcheck.verify.child.fake_data import install

install(tf_keras, 0)
from tf_keras.datasets.cifar10 import load_data
answer = [list(load_data()[0][0].shape), list(tf_keras.datasets.cifar10.load_data("x")[1][1].shape)]
"""


def test_keras_2_has_them_elsewhere(tmp_path):
    package = tmp_path / "tf_keras"
    (package / "datasets").mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from tf_keras import datasets\n"
        "class backend:\n    image_data_format = staticmethod(lambda: 'channels_first')\n"
    )
    (package / "datasets" / "__init__.py").write_text("from tf_keras.datasets import cifar10\n")
    (package / "datasets" / "cifar10.py").write_text(
        "def load_data(cache_dir=None):\n    raise Exception('URL fetch failure')\n"
    )
    assert answers(KERAS_2, tmp_path) == [[50000, 3, 32, 32], [10000, 1]]


TORCHVISION = """
import numpy as np
import torch
import torchvision
from torchvision import datasets
from clipcheck.verify.child.fake_data import install

state = torch.get_rng_state()
install(torchvision, 7)

def told(dataset, index=3):
    image, target = dataset[index]
    return [len(dataset), image.mode, list(image.size), target]

class Own(datasets.CIFAR10):
    def __init__(self):
        super().__init__("nowhere", train=False, download=True)

    def __getitem__(self, index):
        return self.data[index].shape, self.targets[index] < 10

normalised = datasets.MNIST("nowhere", transform=lambda image: np.asarray(image) / 255, target_transform=str)
letters = datasets.EMNIST("nowhere", "letters", train=False)
celeba = datasets.CelebA("nowhere", split="valid", target_type=["identity", "attr"], download=True)
unlabelled = datasets.STL10("nowhere", split="test")
folder = datasets.ImageFolder("nowhere")
answer = {
    "mnist": [told(datasets.MNIST("nowhere", train=train, download=True))[:3] for train in (True, False)],
    "dtype": [str(normalised.data.dtype), str(normalised.targets.dtype)],
    "transforms": [list(normalised[0][0].shape), type(normalised[0][1]).__name__],
    "fashion": bool((datasets.FashionMNIST("nowhere").data == normalised.data).all()),
    "letters": [len(letters), letters.targets.min().item(), letters.targets.max().item()],
    "cifar100": [told(datasets.CIFAR100("nowhere", train=False))[:3], len(datasets.CIFAR100("nowhere").class_to_idx)],
    "own": [len(Own()), *Own()[0]],
    "svhn": told(datasets.SVHN("nowhere", split="test"))[:3],
    "stl10": told(unlabelled)[:3],
    "fold": len(datasets.STL10("nowhere", folds=2)),
    "celeba": [told(celeba)[:3], [list(part.shape) for part in celeba[0][1]]],
    "lsun": told(datasets.LSUN("nowhere", ["bedroom_train", "tower_val"])),
    "folder": told(folder, 999),
    "mine": len(datasets.ImageFolder(".")),
    "same again": (np.asarray(folder[5][0]) == np.asarray(datasets.ImageFolder("nowhere")[5][0])).all().item(),
    "the script's own": bool((torch.get_rng_state() == state).all()),
}
"""


@pytest.fixture(scope="module")
def torchvision() -> Any:
    return answers(TORCHVISION, STUBS)


def test_images_of_torchvision_are_pil_images_of_the_right_size_and_number(torchvision):
    assert torchvision["mnist"] == [[60000, "L", [28, 28]], [10000, "L", [28, 28]]]
    assert torchvision["dtype"] == ["torch.uint8", "torch.int64"]
    assert torchvision["cifar100"] == [[10000, "RGB", [32, 32]], 100]
    assert torchvision["letters"] == [20800, 1, 26]
    assert torchvision["svhn"] == [26032, "RGB", [32, 32]]
    assert (torchvision["stl10"], torchvision["fold"]) == ([8000, "RGB", [96, 96]], 1000)
    assert torchvision["celeba"] == [[19867, "RGB", [178, 218]], [[], [40]]]
    assert torchvision["lsun"] == [3033342, "RGB", [341, 256], 0]


def test_they_go_through_the_users_transforms_and_subclasses(torchvision):
    assert torchvision["transforms"] == [[28, 28], "str"]
    assert torchvision["own"] == [10000, [32, 32, 3], True]


def test_a_folder_of_images_is_made_up_only_where_there_is_none(torchvision):
    assert torchvision["folder"] == [1000, "RGB", [256, 256], 1]
    assert torchvision["mine"] == 1


def test_the_same_dataset_has_the_same_data_and_draws_no_random_number(torchvision):
    assert torchvision["same again"]
    assert not torchvision["fashion"]
    assert torchvision["the script's own"]
