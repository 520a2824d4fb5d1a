"""Label warps: the one-hot arg-max without the one-hot, within bounded memory."""

import pytest
import torch
from torch.nn import functional as F

from mmreg.errors import InputError
from mmreg.spatial import labels as module
from mmreg.spatial import warp, warp_labels
from tests.spatial.fields import SIZES, smooth, translation


def onehot_argmax(labels, field, classes, padding):
    onehot = F.one_hot(labels[:, 0], classes).movedim(-1, 1).double()
    return warp(onehot, field.double(), padding=padding).argmax(1, keepdim=True)


@pytest.mark.parametrize('padding', ['zeros', 'border'])
@pytest.mark.parametrize('size', SIZES)
def test_linear_mode_is_the_argmax_of_the_warped_onehot(size, padding, monkeypatch):
    monkeypatch.setattr(module, 'CHUNK', 100)  # several chunks even in a small volume
    labels = torch.randint(0, 6, (2, 1, *size))
    field = smooth(size, 3.0, batch=2) + 0.137
    actual = warp_labels(labels, field, 'linear', padding)
    torch.testing.assert_close(actual, onehot_argmax(labels, field, 6, padding))


def test_linear_mode_takes_the_smaller_of_equal_labels():
    labels = torch.tensor([[[[5, 2], [5, 2]]]])
    half = translation((2, 2), (0.0, 0.5))
    assert warp_labels(labels, half, 'linear')[0, 0, 0, 0] == 2


def test_labels_partly_outside_win_over_nothing():
    labels = torch.full((1, 1, 4, 4), 7, dtype=torch.uint8)
    out = warp_labels(labels, translation((4, 4), (0.8, 0.0)), 'linear')
    assert out.dtype == torch.uint8 and (out == 7).all()
    assert (warp_labels(labels, translation((4, 4), (9.0, 0.0)), 'linear') == 0).all()


@pytest.mark.parametrize('mode', ['linear', 'nearest'])
def test_identity_keeps_every_label(mode):
    labels = torch.randint(-3, 200, (1, 1, 7, 8, 6), dtype=torch.int16)
    torch.testing.assert_close(warp_labels(labels, torch.zeros(1, 3, 7, 8, 6), mode), labels)


def test_linear_mode_does_not_grow_with_the_number_of_labels():
    size = (32, 32, 32)
    labels = torch.arange(32**3).view(1, 1, *size)  # every voxel its own label: a one-hot would need 4 GiB
    out = warp_labels(labels, translation(size, (0.2, 0.1, -0.3), torch.float32), 'linear')
    inner = (..., slice(1, -1), slice(1, -1), slice(1, -1))
    torch.testing.assert_close(out[inner], labels[inner])


def test_refuses_interpolation_of_floats():
    with pytest.raises(InputError, match='expected integers'):
        warp_labels(torch.rand(1, 1, 5, 5), torch.zeros(1, 2, 5, 5))
