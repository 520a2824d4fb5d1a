"""Cross-entropy on warped one-hot volumes."""

import math

import pytest
import torch
from torch.nn import functional as F

from mmreg.errors import ConfigError, InputError
from mmreg.models.losses.cross_entropy import CrossEntropy
from mmreg.spatial import warp

from .helpers_fields import blocks, gradients_agree, onehot, random_field

SIZES = [(6, 7), (5, 4, 6)]


@pytest.mark.parametrize('size', SIZES)
def test_equals_the_library_on_probabilities(size):
    p = torch.rand(2, 4, *size, dtype=torch.float64).softmax(1)
    labels = blocks(size, 4, batch=2)
    torch.testing.assert_close(CrossEntropy()(p, onehot(labels, 4)), F.nll_loss(p.log(), labels[:, 0]))
    weight = [0.5, 1.0, 2.0, 3.0]
    expected = F.nll_loss(p.log(), labels[:, 0], weight=torch.tensor(weight).double())
    torch.testing.assert_close(CrossEntropy(weight)(p, onehot(labels, 4)), expected)
    expected = F.nll_loss(p.log(), labels[:, 0], ignore_index=0)
    torch.testing.assert_close(CrossEntropy(background=False)(p, onehot(labels, 4)), expected)


@pytest.mark.parametrize('size', SIZES)
def test_gradient(size):
    p = (0.1 + torch.rand(2, 3, *size, dtype=torch.float64)).requires_grad_()
    t = onehot(blocks(size, 3, batch=2), 3)
    mask = torch.rand(2, 1, *size, dtype=torch.float64)
    assert gradients_agree(lambda x: CrossEntropy()(x, t, mask), p)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('classes', [[0, 1, 2, 3], [0, 3, 1]])
def test_label_maps_equal_the_one_hot_volume(size, classes):
    """Labels that are not listed count nowhere; points outside the image agree with nothing."""
    moving, fixed = blocks(size, 4, batch=2), blocks(size, 4, batch=2, seed=1)
    hot = [torch.cat([x == k for k in classes], 1).double() for x in (moving, fixed)]
    displacement = random_field(size, 2.0, batch=2).requires_grad_()
    mask = torch.rand(2, 1, *size, dtype=torch.float64)
    for loss in (CrossEntropy(), CrossEntropy([1.0, 2.0, 0.5, 3.0][: len(classes)], background=False)):
        for m in (None, mask):
            expected = loss(warp(hot[0], displacement), hot[1], m)
            found = loss.from_labels(moving, fixed, displacement, classes, m)
            torch.testing.assert_close(found, expected)
            gradients = [torch.autograd.grad(value, displacement)[0] for value in (found, expected)]
            torch.testing.assert_close(*gradients)


def test_range():
    t = onehot(blocks((6, 6), 3), 3)
    assert CrossEntropy()(t, t).item() == pytest.approx(0, abs=1e-12)
    assert CrossEntropy(eps=1e-4)(1 - t, torch.zeros_like(t)).item() == 0
    assert CrossEntropy(eps=1e-4)(t.roll(1, 1), t).item() == pytest.approx(-math.log(1e-4))


def test_nothing_labelled_is_zero_with_a_gradient():
    p = torch.zeros(1, 3, 4, 4, requires_grad=True)
    loss = CrossEntropy()(p, torch.zeros(1, 3, 4, 4))
    loss.backward()
    assert loss.item() == 0 and p.grad.isfinite().all()


def test_mask_leaves_out_what_it_hides():
    p, t = torch.rand(1, 3, 6, 6).softmax(1), onehot(blocks((6, 6), 3), 3, torch.float32)
    mask = torch.zeros(1, 1, 6, 6)
    mask[..., :2] = 1
    torch.testing.assert_close(CrossEntropy()(p, t, mask), CrossEntropy()(p[..., :2], t[..., :2]))


def test_refusals():
    with pytest.raises(ConfigError, match='eps'):
        CrossEntropy(eps=2)
    with pytest.raises(ConfigError, match='class_weight'):
        CrossEntropy([1.0, 2.0])(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4))
    with pytest.raises(InputError, match='shape'):
        CrossEntropy()(torch.rand(1, 3, 4, 4), torch.rand(1, 2, 4, 4))
