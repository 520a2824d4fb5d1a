"""Dice losses: definition, published forms, absent classes, label maps without one-hot volumes."""

import pytest
import torch

from mmreg.errors import ConfigError, DataError, InputError
from mmreg.models.losses.dice import Dice, GeneralisedDice
from mmreg.models.losses.label_corners import class_index
from mmreg.models.losses.label_overlap import label_overlap, label_overlap_chunks
from mmreg.spatial import warp

from .helpers_fields import SavedBytes, blocks, gradients_agree, onehot, random_field

SIZES = [(7, 8), (6, 7, 5)]


def soft(size, classes, batch=2):
    return torch.rand(batch, classes, *size, dtype=torch.float64).softmax(1)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('squared', [False, True])
def test_definition(size, squared):
    p, t = soft(size, 4), onehot(blocks(size, 4, batch=2), 4)
    q = 2 if squared else 1
    parts = []
    for n in range(2):
        for k in range(4):
            parts.append(2 * (p[n, k] * t[n, k]).sum() / ((p[n, k] ** q).sum() + (t[n, k] ** q).sum() + 1e-5))
    loss = Dice(squared=squared, absent='zero')
    torch.testing.assert_close(loss(p, t), 1 - torch.stack(parts).mean())
    torch.testing.assert_close(loss(p, t.argmax(1, keepdim=True)), 1 - torch.stack(parts).mean())
    without = torch.stack(parts).view(2, 4)[:, 1:].mean()
    torch.testing.assert_close(Dice(squared=squared, absent='zero', background=False)(p, t), 1 - without)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('squared', [False, True])
@pytest.mark.parametrize('masked', [False, True])
def test_gradient(size, squared, masked):
    p, t = soft(size, 3).requires_grad_(), soft(size, 3).requires_grad_()
    mask = torch.rand(2, 1, *size, dtype=torch.float64) if masked else None
    assert gradients_agree(lambda a, b: Dice(squared=squared)(a, b, mask), p, t)
    assert gradients_agree(lambda a: GeneralisedDice()(a, t.detach(), mask), p)


@pytest.mark.parametrize('loss', [Dice(), Dice(squared=True), GeneralisedDice(), GeneralisedDice('simple')])
def test_zero_where_labels_agree_one_where_they_do_not(loss):
    labels = blocks((9, 9, 9), 4)
    assert loss(onehot(labels, 4), onehot(labels, 4)).item() == pytest.approx(0, abs=1e-5)
    assert loss(onehot(labels, 4), onehot((labels + 1) % 4, 4)).item() == pytest.approx(1)


def test_absent_classes():
    labels = blocks((9, 9), 3)
    perfect = onehot(labels, 5)  # classes 3 and 4 are nowhere
    assert Dice(absent='ignore')(perfect, perfect).item() == pytest.approx(0, abs=1e-5)
    assert Dice(absent='zero')(perfect, perfect).item() == pytest.approx(2 / 5, abs=1e-5)
    assert GeneralisedDice()(perfect, perfect).item() == pytest.approx(0, abs=1e-4)


def test_nothing_present_is_zero_with_a_gradient():
    p = torch.zeros(1, 3, 4, 4, requires_grad=True)
    for loss in (Dice(), GeneralisedDice()):
        value = loss(p, torch.zeros(1, 3, 4, 4))
        value.backward()
        assert value.item() == 0 and p.grad.isfinite().all()


def test_prediction_on_a_coarser_grid_is_resized_to_the_labels():
    labels = blocks((8, 8, 8), 3)
    assert 0 < Dice()(onehot(labels, 3)[:, :, ::2, ::2, ::2], labels).item() < 1


def test_mask_leaves_out_what_it_hides():
    p, t = soft((6, 6), 3, batch=1), onehot(blocks((6, 6), 3), 3)
    mask = torch.zeros(1, 1, 6, 6)
    mask[..., :3] = 1
    torch.testing.assert_close(Dice()(p, t, mask), Dice()(p[..., :3], t[..., :3]))


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('squared', [False, True])
def test_overlap_of_label_maps_equals_warped_onehot(size, squared):
    moving, fixed = blocks(size, 5, batch=2), blocks(size, 5, batch=2, seed=1)
    displacement = random_field(size, 1.5, batch=2)
    values = [0, 2, 3, 9]
    p, t = (torch.cat([x == v for v in values], 1).double() for x in (moving, fixed))
    p = warp(p, displacement)
    q = 2 if squared else 1
    expected = [(p * t).flatten(2).sum(2), (p**q).flatten(2).sum(2), t.flatten(2).sum(2)]
    for found in (
        label_overlap(moving, fixed, displacement, values, squared),
        label_overlap_chunks(moving, fixed, displacement, values, 3, squared),
    ):
        for a, b in zip(found, expected):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('squared', [False, True])
def test_gradient_of_the_overlap_of_label_maps(size, squared):
    moving, fixed = blocks(size, 4, batch=2), blocks(size, 4, batch=2, seed=1)
    displacement = random_field(size, 1.2, batch=2).requires_grad_()
    weights = torch.rand(2, 2, 3, dtype=torch.float64)

    def sums(function, *options):
        overlap = function(moving, fixed, displacement, [1, 2, 3], *options)
        return (weights[0] * overlap.both + weights[1] * overlap.warped).sum()

    (by_corners,) = torch.autograd.grad(sums(label_overlap, squared), displacement)
    (by_chunks,) = torch.autograd.grad(sums(label_overlap_chunks, 2, squared), displacement)
    torch.testing.assert_close(by_corners, by_chunks)
    assert gradients_agree(lambda u: Dice(squared=squared).from_labels(moving, fixed, u, range(4)), displacement)


@pytest.mark.parametrize('squared', [False, True])
def test_mask_of_label_maps(squared):
    size = (6, 7, 5)
    moving, fixed = blocks(size, 4, batch=2), blocks(size, 4, batch=2, seed=1)
    displacement, mask = random_field(size, 1.2, batch=2), torch.rand(2, 1, *size, dtype=torch.float64)
    loss = Dice(squared=squared)
    expected = loss(warp(onehot(moving, 4), displacement), onehot(fixed, 4), mask)
    torch.testing.assert_close(loss.from_labels(moving, fixed, displacement, range(4), mask), expected)
    displacement.requires_grad_()
    assert gradients_agree(lambda u: loss.from_labels(moving, fixed, u, range(4), mask[:1]), displacement)


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int16, torch.int32, torch.int64])
@pytest.mark.parametrize('classes', [[0, 1, 2], [7, 0, 100], [3, 70000], [-2, 5], []])
def test_positions_of_labels(dtype, classes):
    """Small values by a table, large and negative ones by a search."""
    values = [v for v in (0, 1, 2, 3, 5, 7, 99, 100, 101, 255, -2, 70000) if torch.tensor(v).to(dtype).item() == v]
    expected = [classes.index(v) if v in classes else len(classes) for v in values]
    found = class_index(torch.tensor(values).to(dtype).view(1, 1, -1, 1), classes)
    assert found.flatten().tolist() == expected and found.dtype == torch.int32


def test_label_maps_of_another_grid():
    moving, displacement = blocks((9, 7), 3), random_field((9, 7), 2.0)
    found = label_overlap(moving, moving[:, :, :5], displacement[:, :, :5], range(3)).warped
    torch.testing.assert_close(found, warp(onehot(moving, 3), displacement)[:, :, :5].flatten(2).sum(2))


def test_memory_of_the_backward_pass():
    p = torch.rand(1, 6, 12, 12, 12, requires_grad=True)
    t = onehot(blocks((12, 12, 12), 6), 6, torch.float32)
    with SavedBytes(p, t) as saved:
        Dice()(p, t)
    assert saved.total <= 2048
    displacement = torch.zeros(1, 3, 12, 12, 12, requires_grad=True)
    labels = blocks((12, 12, 12), 40)
    with SavedBytes(displacement) as saved:
        Dice().from_labels(labels, labels, displacement, range(40))
    assert saved.total <= 2 * 12**3 * 4 + 8192  # two int32 label maps, nothing per class


def test_refusals():
    with pytest.raises(ConfigError, match='absent'):
        Dice(absent='maybe')
    with pytest.raises(ConfigError, match='weighting'):
        GeneralisedDice('cubic')
    with pytest.raises(InputError, match='shape'):
        Dice()(torch.zeros(1, 3, 4, 4), torch.zeros(1, 2, 4, 4))
    with pytest.raises(DataError, match='labels'):
        Dice()(torch.zeros(1, 3, 4, 4), torch.zeros(1, 2, 4, 4, dtype=torch.long))
    with pytest.raises(DataError, match='fit'):
        label_overlap(torch.zeros(1, 1, 4, 4).long(), torch.zeros(1, 1, 4, 5).long(), torch.zeros(1, 2, 4, 4), [1])
