"""What the rules on clipped values know of number formats, held against the formats themselves."""

from __future__ import annotations

import pytest

from clipcheck.frameworks.infinite import MANTISSA
from clipcheck.model.clips import Fate, ValueClip
from clipcheck.model.singularities import LostEpsilon
from tests.analysis.reading import script_of

LOSS = """
import torch

def loss(x):
    p = torch.sigmoid(x){cast}.clamp({epsilon!r}, 1 - {epsilon!r})
    return torch.log(1 - p)
"""


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("exponent", [-9, -10, -12, -13, -25, -26])
def test_an_epsilon_is_lost_where_torch_rounds_to_1(dtype: str, exponent: int) -> None:
    torch = pytest.importorskip("torch")
    epsilon = 2.0**exponent
    cast = {"float32": "", "float16": ".half()", "bfloat16": ".bfloat16()"}[dtype]
    found = script_of(LOSS.format(cast=cast, epsilon=epsilon)).all(LostEpsilon)
    is_lost = torch.tensor(1 - epsilon, dtype=getattr(torch, dtype)).item() == 1.0
    assert bool(found) is is_lost
    assert is_lost is (epsilon <= 2.0 ** -(MANTISSA[dtype] + 1))


@pytest.mark.parametrize(
    ("lines", "cells", "fate"),
    [
        ("torch.clamp(x, 0, 1)\nprint(x)", (), Fate.DISCARDED),
        ("torch.clamp(x, 0, 1)\nprint(x)", (1,), Fate.DISCARDED),
        ("torch.clamp(x, 0, 1)\nprint(x)", (1, 5), Fate.USED),
        ("torch.clamp(x, 0, 1)\n\n# %%\nprint(x)", (), Fate.USED),
        ("torch.clamp(x, 0, 1)\n\n# In[4]:\nprint(x)", (), Fate.USED),
        ("print(x)\ntorch.clamp(x, 0, 1)", (), Fate.DISCARDED),
        ("print(x)\ntorch.clamp(x, 0, 1)", (1,), Fate.USED),
        ("for x in xs:\n    torch.clamp(x, 0, 1)", (1,), Fate.DISCARDED),
    ],
)
def test_what_ends_a_cell_is_shown(lines: str, cells: tuple[int, ...], fate: Fate) -> None:
    (clip,) = script_of(f"import torch\nx = torch.ones(3)\nxs = [x]\n{lines}\n", cell_lines=cells).all(ValueClip)
    assert clip.fate is fate
