"""Leaving autocast, on devices that have it and on those that do not."""

import pytest
import torch

from mmreg.spatial import scaling_and_squaring, warp
from mmreg.spatial.precision import without_autocast


def test_products_inside_are_in_full_precision():
    x = torch.rand(4, 4)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
        with without_autocast(x):
            assert (x @ x).dtype == torch.float32
        assert (x @ x).dtype == torch.bfloat16


@pytest.mark.parametrize('size', [(6, 5), (4, 5, 6)])
def test_shapes_without_values(size):
    """On the device ``meta`` operations give shapes only: counting a network's cost needs no memory."""
    image = torch.empty(2, 3, *size, device='meta')
    field = torch.empty(2, len(size), *size, device='meta')
    with without_autocast(image):
        assert (image * 2).is_meta
    assert warp(image, field).shape == image.shape
    assert scaling_and_squaring(field, steps=3).shape == field.shape
