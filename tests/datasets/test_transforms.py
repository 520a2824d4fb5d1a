"""Transforms against closed-form answers; what belongs together stays together."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from mmreg.datasets import SyntheticShapes
from mmreg.datasets.base import compose
from mmreg.datasets.transforms import (
    CenterCrop,
    ClipWindow,
    CropForeground,
    DivideBy,
    LoadVolumes,
    MinMax,
    PackRegInputs,
    PadTo,
    PercentileWindow,
    RandomFlip,
    RandomGamma,
    RemapLabels,
    Zoom,
    ZScore,
)
from mmreg.datasets.transforms.grid import flip_group, grow_to_multiple
from mmreg.datasets.transforms.roles import FIXED, MOVING, groups
from mmreg.errors import ConfigError, DataError
from mmreg.spatial import warp

from .helpers import SHAPE, image_array, label_array


def subject(ndim=3, seed=0):
    """An image whose value at every voxel says where the voxel is in the world, and a point in it."""
    shape = SHAPE[:ndim]
    affine = np.diag([*(1.0, 2.0, 3.0)[:ndim], 1.0])
    affine[:ndim, ndim] = (5.0, -3.0, 1.0)[:ndim]
    labels = label_array(seed, shape)[None]
    points = np.array([[1.0, 2.0, 3.0], [4.5, 3.25, 2.0]], dtype=np.float32)[:, :ndim]
    return dict(image=world(shape, affine), labels=labels, mask=labels > 1, landmarks=points, affine=affine, path='x')


def world(shape, affine):
    """``(ndim, *shape)``: the world position of each voxel."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing='ij')).reshape(len(shape), -1)
    return (affine[:-1, :-1] @ index + affine[:-1, -1:]).reshape(len(shape), *shape).astype(np.float32)


def pair(ndim=3):
    fixed, moving = subject(ndim, 0), subject(ndim, 1)
    sample = {'fixed': fixed.pop('image'), 'moving': moving.pop('image'), 'case_id': 'c'}
    sample |= {f'fixed_{key}': value for key, value in fixed.items()}
    return sample | {f'moving_{key}': value for key, value in moving.items()}


def points_in_world(sample, group):
    points, affine = sample[group.landmarks], sample[group.affine]
    return points @ affine[:-1, :-1].T + affine[:-1, -1]


def assert_world_is_kept(before, after):
    """Wherever a voxel of the new grid came from, the affine says so; points stay where they were."""
    for group in groups(after):
        image = after[group.image]
        inside = (image != 0).any(0)
        expected = world(image.shape[1:], after[group.affine])
        np.testing.assert_allclose(image[:, inside], expected[:, inside], rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(points_in_world(after, group), points_in_world(before, group), atol=1e-4)


GRID = [
    CenterCrop((6, 12, 7)),
    CenterCrop((8, None, 3)),
    PadTo(multiple=(4, 8, 5)),
    CropForeground('labels', multiple=4),
    RandomFlip((0, 1, 2), prob=1.0),
    RandomFlip((1,), prob=1.0),
]


@pytest.mark.parametrize('transform', GRID, ids=lambda t: type(t).__name__)
@pytest.mark.parametrize('make', [subject, pair])
def test_grid_transforms_keep_the_world(transform, make):
    before = make()
    shapes = {key: np.shape(value) for key, value in before.items()}
    after = transform(before)
    assert_world_is_kept(before, after)
    assert {key: np.shape(value) for key, value in before.items()} == shapes, 'the input is not changed'
    for group in groups(after):
        assert after[group.labels].shape[1:] == after[group.mask].shape[1:] == after[group.image].shape[1:]
        assert ((after[group.labels] > 1) == after[group.mask]).all()


def test_zoom_keeps_corners_points_and_world():
    before = subject()
    after = Zoom(0.5, order=1)(before)
    assert after['image'].shape[1:] == after['labels'].shape[1:] == (4, 4, 5)
    assert_world_is_kept(before, after)
    expected = ndimage.zoom(before['labels'][0], 0.5, order=0)
    assert (after['labels'][0] == expected).all()
    full = Zoom(0.5)({'image': np.ones((1, 28), np.float32)})['image']
    lost = Zoom(0.5, mode='constant')({'image': np.ones((1, 28), np.float32)})['image']
    assert full.min() > 0.99 and lost[0, -1] == 0
    flat = Zoom((1, 1, 0.1))(before)
    assert flat['image'].shape[1:] == (8, 9, 1)


def test_two_dimensions():
    before = pair(2)
    for transform in (CenterCrop((6, 12)), PadTo(4), CropForeground('labels'), RandomFlip((0, 1), prob=1)):
        assert_world_is_kept(before, transform(before))


@pytest.mark.parametrize('old, new, start', [(7, 4, 1), (4, 7, -1), (8, 3, 2), (3, 8, -2), (5, 5, 0)])
def test_center_crop_starts(old, new, start):
    """Crop: floor((S - new)/2); zeros before: floor((new - S)/2) (specification of GraDIRN, section 5)."""
    image = np.arange(1, old + 1, dtype=np.float32).reshape(1, old, 1)
    out = CenterCrop((new, 1))({'image': image})['image'][0, :, 0]
    expected = np.zeros(new)
    for i in range(new):
        if 0 <= i + start < old:
            expected[i] = image[0, i + start, 0]
    assert (out == expected).all()


def test_grow_to_multiple_splits_the_extra():
    low, high = grow_to_multiple((np.array([0, 1, 5]), np.array([36, 37, 42])), 16)
    assert low.tolist() == [-6, -5, 0] and high.tolist() == [42, 43, 48]


def test_crop_foreground_takes_the_union_of_a_pair():
    fixed, moving = np.zeros((1, 10, 10), np.float32), np.zeros((1, 10, 10), np.float32)
    fixed[0, 2:4, 3:5] = 1
    moving[0, 3:8, 1:4] = 1
    out = CropForeground(margin=1)({'fixed': fixed, 'moving': moving})
    assert out['fixed'].shape == out['moving'].shape == (1, 8, 6)
    with pytest.raises(DataError, match='no voxel above 2'):
        CropForeground(threshold=2)({'image': fixed})
    with pytest.raises(DataError, match="no 'mask'"):
        CropForeground('mask')({'image': fixed})


@pytest.mark.parametrize('size', [(20, 24), (16, 18, 20)])
@pytest.mark.parametrize('axis', [0, 1])
def test_flip_keeps_the_true_displacement_true(size, axis):
    dataset = SyntheticShapes(size=size, count=2, pairing='ordered', true_fields=True, pipeline=[])
    sample = dict(dataset[0])
    for group in (FIXED, MOVING):
        flip_group(sample, group, axis)
    warped = warp(torch.from_numpy(sample['moving'])[None], torch.from_numpy(sample['true_displacement'])[None])[0]
    plain = warp(torch.from_numpy(dataset[0]['moving'])[None], torch.from_numpy(dataset[0]['true_displacement'])[None])
    torch.testing.assert_close(warped.flip(axis + 1), plain[0], atol=1e-5, rtol=0)
    valid = torch.from_numpy(sample['true_displacement_valid']).flip(axis + 1)
    assert torch.equal(valid, torch.from_numpy(dataset[0]['true_displacement_valid']))


def test_crop_carries_the_true_displacement():
    sample = SyntheticShapes(size=(20, 24), count=2, pairing='ordered', true_fields=True, pipeline=[])[0]
    out = CenterCrop((16, 16))(sample)
    assert (out['true_displacement'] == sample['true_displacement'][:, 2:18, 4:20]).all()
    with pytest.raises(DataError, match='Zoom cannot change'):
        Zoom()(sample)


def test_random_transforms_follow_the_sample_generator():
    transform = compose([dict(type='RandomFlip', axes=(0, 1, 2)), dict(type='RandomGamma', prob=1.0)])

    def run(seed):
        sample = {**subject(), 'image': image_array(3)[None], 'rng': np.random.default_rng(seed)}
        for step in transform:
            sample = step(sample)
        return sample['image']

    assert (run(1) == run(1)).all()
    assert not all(np.allclose(run(0), run(seed)) for seed in range(1, 5))


def test_flips_are_fair_and_together():
    rng = np.random.default_rng(0)
    flipped = 0
    for _ in range(200):
        image = np.array([[[0.0, 1.0]]], np.float32)
        out = RandomFlip((1,))({'fixed': image, 'moving': image, 'rng': rng})
        assert (out['fixed'] == out['moving']).all()
        flipped += out['fixed'][0, 0, 0] == 1
    assert 70 < flipped < 130


def test_intensities_in_closed_form():
    image = np.array([-1000.0, -500.0, 150.0, 800.0, 2000.0], np.float32).reshape(1, 5, 1)
    window = ClipWindow(-500, 800)({'image': image})['image']
    assert window.ravel().tolist() == [0, 0, 0.5, 1, 1] and window.dtype == np.float32
    assert DivideBy(2)({'image': image})['image'].ravel().tolist() == [-500, -250, 75, 400, 1000]
    ranged = MinMax()({'fixed': image, 'moving': image * 3 + 1})
    np.testing.assert_allclose(ranged['fixed'], ranged['moving'], atol=1e-6)
    assert ranged['fixed'].min() == 0 and abs(ranged['fixed'].max() - 1) < 1e-6
    only = MinMax(images=['moving'])({'fixed': image, 'moving': image})
    assert (only['fixed'] == image).all() and only['moving'].max() <= 1


def test_percentile_window():
    image = np.arange(10001, dtype=np.float32).reshape(1, 73, 137)
    out = PercentileWindow(1, 99)({'image': image})['image']
    np.testing.assert_allclose(out, (np.clip(image, 100, 9900) - 100) / 9800, atol=1e-6)


def test_zscore():
    image = image_array(1)[None]
    out = ZScore()({'image': image})['image']
    assert abs(out.mean()) < 1e-5 and abs(out.std() - 1) < 1e-4
    image[0, :2] = 0
    inside = ZScore(nonzero=True)({'image': image})['image']
    assert (inside[0, :2] == 0).all() and abs(inside[0, 2:].mean()) < 1e-5


def test_gamma_stays_in_range_and_ranked():
    image = image_array(2)[None]
    out = RandomGamma(0.5, prob=1.0)({'image': image, 'rng': np.random.default_rng(0)})['image']
    assert out.min() >= 0 and out.max() <= 1
    assert (np.argsort(out.ravel()) == np.argsort(image.ravel())).mean() > 0.99


def test_remap_labels():
    labels = np.array([0, 4, 11, 23, 4]).reshape(1, 5, 1).astype(np.int16)
    out = RemapLabels([4, 11])({'image': labels * 1.0, 'labels': labels})
    assert out['labels'].ravel().tolist() == [0, 1, 2, 0, 1]
    assert out['label_values'].tolist() == [0, 1, 2]
    wide = RemapLabels({4: 70000, 11: 2, 23: 2})({'image': labels * 1.0, 'labels': labels})['labels']
    assert wide.ravel().tolist() == [0, 70000, 2, 2, 70000]
    with pytest.raises(DataError, match=r'labels \[23\]'):
        RemapLabels([4, 11], others=None)({'image': labels * 1.0, 'labels': labels})


def test_pack():
    sample = {**pair(), 'note': 5, 'extra': np.ones((2, 3))}
    packed = PackRegInputs(extra_inputs=['extra'], extra_meta=['note'])(sample)
    inputs, meta = packed['inputs'], packed['data_samples']
    assert inputs['fixed'].dtype == torch.float32 and inputs['fixed_labels'].dtype == torch.int64
    assert inputs['fixed_mask'].dtype == torch.float32 and inputs['moving_landmarks'].shape == (2, 3)
    assert inputs['extra'].shape == (2, 3) and meta.note == 5
    assert (meta.case_id, meta.shape, meta.spacing) == ('c', SHAPE, (1.0, 2.0, 3.0))
    assert meta.affine[0] == (1.0, 0.0, 0.0, 5.0) and meta.fixed_path == 'x'
    with pytest.raises(DataError, match="no 'moving'"):
        PackRegInputs()({'fixed': sample['fixed']})


def test_wrong_settings_are_refused():
    for wrong in (
        lambda: DivideBy(0),
        lambda: ClipWindow(3, 3),
        lambda: PercentileWindow(5, 5),
        lambda: CropForeground('nose'),
        lambda: RemapLabels({-1: 2}),
        lambda: CenterCrop((4, 4))(subject()),
    ):
        with pytest.raises(ConfigError):
            wrong()


def test_everything_is_registered():
    from mmreg.registry import TRANSFORMS

    for cls in (LoadVolumes, DivideBy, ClipWindow, MinMax, ZScore, Zoom, RandomFlip, PackRegInputs, RemapLabels):
        assert TRANSFORMS.get(cls.__name__) is cls
