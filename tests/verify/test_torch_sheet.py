"""A sheet says of its looks what one would say who keeps every value."""

from __future__ import annotations

import math

import pytest
import torch

from clipcheck.verify.child import torch_sheet
from clipcheck.verify.child.torch_sheet import Sheet, rounded
from tests.verify.torch_watch import on_each_device

pytestmark = pytest.mark.frameworks

BOUND = 1.0


def looks(device: str, dtype: torch.dtype) -> list[list[torch.Tensor]]:
    """Of two tensors; the second leaves its bounds at the fourth look and is NaN at the sixth."""
    generator = torch.Generator().manual_seed(0)
    found = [[torch.rand(shape, generator=generator) - 0.5 for shape in ((3, 2), ())] for _ in range(8)]
    found[3][1] = torch.tensor(-1.5)
    found[4][1] = torch.tensor(2.5)
    found[5][1] = torch.tensor(math.nan)
    return [[tensor.to(device, dtype) for tensor in tensors] for tensors in found]


@pytest.mark.parametrize("rows", [1, 3, 256])
@pytest.mark.parametrize("is_signed", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@on_each_device
def test_columns_and_history(device, dtype, is_signed, rows, monkeypatch):
    monkeypatch.setattr(torch_sheet, "ROWS", rows)
    every = looks(device, dtype)
    sheet = Sheet(2, torch.device(device), dtype, is_signed)
    bounds = [(-BOUND, BOUND)] * 2
    with torch.no_grad():
        for update, tensors in enumerate(every, 1):
            sheet.look(tensors, bounds, update)
    within, out = sheet.columns()
    first = torch.cat([tensors[0].flatten() for tensors in every])
    assert within.looks == out.looks == 8
    assert (within.violated_at, within.violated_value, within.last_is_out) == (None, None, False)
    if is_signed:
        assert (within.lowest, within.highest) == (first.min().item(), first.max().item())
        assert out.violated_value == -1.5
    else:
        assert (within.lowest, within.highest) == (None, first.abs().max().item())
        assert out.violated_value == 1.5
    assert (out.violated_at, out.extreme_at, out.last_is_out) == (4, 6, False)
    assert math.isnan(out.highest)
    largest = [torch.stack([tensor.abs().max() for tensor in tensors]).max().item() for tensors in every]
    assert [update for update, _ in sheet.history()] == list(range(1, 9))
    assert [value for _, value in sheet.history()] == pytest.approx(largest, nan_ok=True)


@pytest.mark.parametrize("is_signed", [True, False])
def test_bounds_of_their_own_that_change(is_signed):
    sheet = Sheet(2, torch.device("cpu"), torch.float32, is_signed)
    tensors = [torch.tensor([-0.5, 0.25]), torch.tensor([0.75])]
    for update, (first, second) in enumerate(((0.5, 0.75), (0.5, 0.7), (0.4, 0.75)), 1):
        bounds = [rounded((-first, first), torch.float32), rounded((-second, second), torch.float32)]
        sheet.look(tensors, bounds, update)
    one, two = sheet.columns()
    assert (one.violated_at, two.violated_at) == (3, 2)
    assert (one.last_is_out, two.last_is_out) == (True, False)
    assert one.excess == pytest.approx(0.1)
    assert two.extreme_at == 2


def test_open_sides_are_never_left():
    sheet = Sheet(1, torch.device("cpu"), torch.float32, is_signed=True)
    sheet.look([torch.tensor([-1e30, 0.5])], [(-math.inf, 1.0)], 1)
    sheet.look([torch.tensor([-math.inf, 0.5])], [(-math.inf, 1.0)], 2)
    assert [column.violated_at for column in sheet.columns()] == [None]
