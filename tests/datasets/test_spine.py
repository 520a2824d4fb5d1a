"""Spine data: phantoms with true rigid motions, the published folder layout, label transforms."""

import numpy as np
import pytest
import torch

from mmreg.datasets import ArticulatedSpinePhantom, SpineCTMRDataset
from mmreg.datasets.spine_synthesis import SpineVariation, simulate_spine
from mmreg.datasets.transforms import (
    CommonVertebrae,
    CropVertebrae,
    DropSmallVertebrae,
    MatchFixedGrid,
    RandomRigid,
    RandomVertebraCrop,
    ToSpacing,
)
from mmreg.errors import ConfigError, DataError
from mmreg.evaluation.functional.rigidity import body_rigidity
from mmreg.io import Geometry, Volume, write_volume
from mmreg.spatial import identity_grid, warp_labels

SIZE = (24, 32, 40)


def phantom(number=0, bodies=3, size=SIZE, **variation):
    return simulate_spine(size, bodies, 20, 0, number, SpineVariation(**variation))


def test_the_field_is_exactly_rigid_inside_every_vertebra():
    pair = phantom()
    grid = identity_grid(SIZE).double()
    for k, label in enumerate((20, 21, 22)):
        inside = (pair.fixed_labels == label)[0]
        assert inside.sum() > 100
        expected = pair.rotations[k] @ grid[:, inside] + pair.translations[k][:, None]
        found = grid[:, inside] + pair.displacement[:, inside].double()
        assert (found - expected).abs().max() < 1e-4
    for body in body_rigidity(pair.displacement, pair.fixed_labels):
        assert body.residual_mm < 1e-4 and body.rotation_deg > 0.1


def test_the_true_field_carries_the_labels_over():
    pair = phantom(size=(48, 48, 48), bodies=3)
    warped = warp_labels(pair.moving_labels[None], pair.displacement[None])[0]
    for label in (20, 21, 22):
        a, b = warped == label, pair.fixed_labels == label
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.9
    jacobian = torch.stack(torch.gradient(pair.displacement, dim=(1, 2, 3)), 1)
    assert torch.isfinite(jacobian).all() and jacobian.abs().max() < 3


def test_a_phantom_is_a_pure_function_of_its_number():
    first, again, other = phantom(5), phantom(5), phantom(6)
    assert torch.equal(first.fixed, again.fixed) and torch.equal(first.displacement, again.displacement)
    assert not torch.equal(first.displacement, other.displacement)


def test_contrast_of_ct_and_mr():
    pair = phantom(noise_ct=0.0, noise_mr=0.0, bias=0.0)
    bone, shell = pair.moving_labels[0] > 0, pair.moving[0].max()
    assert shell > 800 and pair.moving[0][bone].mean() > pair.moving[0][~bone].mean() + 100  # bone is bright in CT
    dark = pair.fixed[0][pair.fixed_labels[0] > 0].min()
    assert dark < 0.15  # cortical bone is dark in MR


@pytest.mark.parametrize('bodies', [0, 1, 2])
def test_any_number_of_vertebrae(bodies):
    pair = phantom(bodies=bodies)
    assert len(pair.fixed_labels.unique()) == bodies + 1
    for tensor in (pair.fixed, pair.moving, pair.displacement):
        assert torch.isfinite(tensor).all()


@pytest.mark.parametrize('size', [(8, 8, 8), (4, 32, 32), (32, 32)])
def test_sizes(size):
    if len(size) == 3 and min(size) >= 8:
        assert torch.isfinite(phantom(size=size, bodies=None).displacement).all()
    else:
        with pytest.raises(ConfigError, match='three axes'):
            phantom(size=size)


def test_phantoms_as_a_data_set():
    data = ArticulatedSpinePhantom(size=SIZE, bodies=2, first=3, count=2)
    sample = data[1]
    inputs = sample['inputs']
    assert sample['data_samples'].case_id == 'spine0004' and len(data) == 2
    assert inputs['fixed'].shape == inputs['moving_labels'].shape == (1, *SIZE)
    assert inputs['true_displacement'].shape == (3, *SIZE)
    assert inputs['moving'].min() >= 0 and inputs['moving'].max() <= 1 and inputs['fixed'].max() <= 1
    assert torch.equal(data[1]['inputs']['fixed'], inputs['fixed'])


# --------------------------------------------------------------------------------------------- the published folders


def write_case(folder, name, mr_labels=(20, 21), ct_labels=(20, 21), mr_mask=True, shift=0.0):
    case = folder / name
    case.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for stem, mask, values, origin in (('mr_t1', 'mr_mask', mr_labels, 0.0), ('ct', 'ct_mask', ct_labels, shift)):
        affine = np.diag([1.0, 1.0, 1.0, 1.0])
        affine[:3, 3] = origin
        geometry = Geometry((24, 26, 28), affine)
        image = (rng.standard_normal((24, 26, 28)) * 100).astype(np.float32)
        labels = np.zeros((24, 26, 28), np.int16)
        for k, value in enumerate(values):
            labels[6:16, 6:16, 2 + 12 * k : 12 + 12 * k] = value
        write_volume(case / f'{stem}.nii.gz', Volume(image, geometry))
        if mask == 'ct_mask' or mr_mask:
            write_volume(case / f'{mask}.nii.gz', Volume(labels, geometry))


def test_published_layout(tmp_path):
    write_case(tmp_path / 'train', 'a')
    write_case(tmp_path / 'train', 'b', ct_labels=(21, 22))
    data = SpineCTMRDataset(
        str(tmp_path),
        num_samples=2,
        cache=dict(type='memory', rate=0.5),
        pipeline=[
            dict(type='MatchFixedGrid'),
            dict(type='RandomRigid', prob=1.0),
            dict(type='CropVertebrae'),
            dict(type='CommonVertebrae'),
            dict(type='RandomVertebraCrop', size=(16, 32, 16), min_voxels=50),
            dict(type='DropSmallVertebrae', min_voxels=50),
            dict(type='PackRegInputs'),
        ],
    )
    assert len(data) == 4
    for index in range(4):
        inputs = data[index]['inputs']
        assert inputs['fixed'].shape == inputs['moving_labels'].shape == (1, 16, 32, 16)
        assert inputs['fixed'].min() >= 0 and inputs['fixed'].max() <= 1
        assert inputs['moving'].min() >= 0 and inputs['moving'].max() <= 1
    assert set(data[2]['inputs']['moving_labels'].unique().tolist()) <= {0, 21}  # what CT and MR share
    assert data[0]['data_samples'].case_id == 'a_0'


def test_an_mr_without_labels_is_a_case_all_the_same(tmp_path, caplog):
    write_case(tmp_path / 'test', 'a', mr_mask=False)
    data = SpineCTMRDataset(
        str(tmp_path), split='test', pipeline=[dict(type='CropVertebrae'), dict(type='PackRegInputs')]
    )
    inputs = data[0]['inputs']
    assert 'fixed_labels' not in inputs and inputs['moving_labels'].max() == 21
    assert all(n % 16 == 0 for n in inputs['fixed'].shape[1:])


def test_images_on_two_grids_are_brought_together(tmp_path):
    write_case(tmp_path / 'test', 'a', shift=2.0)
    sample = SpineCTMRDataset(str(tmp_path), split='test', pipeline=[MatchFixedGrid(), dict(type='PackRegInputs')])[0]
    labels = sample['inputs']['moving_labels'][0]
    assert labels.shape == (24, 26, 28) and int((labels[8:18, 8:18, 4:14] == 20).sum()) == 1000


@pytest.mark.parametrize('broken', ['empty', 'no mask'])
def test_missing_files_are_named(tmp_path, broken):
    if broken == 'no mask':
        write_case(tmp_path / 'train', 'a')
        (tmp_path / 'train' / 'a' / 'ct_mask.nii.gz').unlink()
    with pytest.raises(DataError, match='no case was found' if broken == 'empty' else 'ct_mask'):
        SpineCTMRDataset(str(tmp_path))


# -------------------------------------------------------------------------------------------------------- transforms


def pair(fixed, moving):
    return {
        'fixed': fixed[None].astype(np.float32),
        'moving': moving[None].astype(np.float32),
        'fixed_labels': fixed[None],
        'moving_labels': moving[None],
        'rng': np.random.default_rng(1),
    }


def blocks(*values, size=(20, 20, 40)):
    labels = np.zeros(size, np.int16)
    for k, value in enumerate(values):
        labels[4:14, 4:14, 2 + 12 * k : 12 + 12 * k] = value
    return labels


@pytest.mark.parametrize('values', [((), ()), ((20,), ()), ((20,), (21,)), ((20,), (20,))])
def test_label_transforms_with_few_vertebrae(values):
    """None at all, one in one map only, nothing shared, one shared: no step fails."""
    sample = pair(*[blocks(*found) for found in values])
    for transform in (
        CropVertebrae(),
        CommonVertebrae(),
        RandomVertebraCrop((16, 16, 16), min_voxels=10),
        DropSmallVertebrae(10),
    ):
        sample = transform(sample)
    assert sample['fixed'].shape == (1, 16, 16, 16)
    shared = set(values[0]) & set(values[1])
    assert set(np.unique(sample['fixed_labels'])) <= {0, *shared}


def test_small_vertebrae_leave_both_maps():
    fixed, moving = blocks(20, 21), blocks(20, 21)
    moving[:, :, 14:] = 0
    moving[5, 5, 20] = 21  # one voxel
    sample = DropSmallVertebrae(500)(pair(fixed, moving))
    assert set(np.unique(sample['fixed_labels'])) == set(np.unique(sample['moving_labels'])) == {0, 20}


def test_crop_of_a_vertebra_at_the_border_pads_with_zeros():
    labels = np.zeros((20, 20, 20), np.int16)
    labels[:4, 8:12, 16:] = 22
    sample = CropVertebrae(16)(pair(labels, labels))
    assert sample['fixed'].shape == (1, 16, 16, 16) and int((sample['fixed_labels'] == 22).sum()) == 64


def test_spacing_and_orientation():
    affine = np.diag([-2.0, 2.0, 2.0, 1.0])
    image = np.arange(6 * 8 * 10, dtype=np.float32).reshape(1, 6, 8, 10)
    found = ToSpacing(1.0, 'RAS')({'image': image, 'labels': (image > 9).astype(np.int16), 'affine': affine})
    assert found['image'].shape[1:] == found['labels'].shape[1:] == (12, 16, 20)
    assert np.allclose(found['affine'][:3, :3], np.eye(3))


def test_random_rigid_moves_the_moving_image_only():
    labels = blocks(20, 21)
    sample = RandomRigid(prob=1.0)(pair(labels, labels))
    assert np.array_equal(sample['fixed'][0], labels) and not np.array_equal(sample['moving'][0], labels)
    still = RandomRigid(prob=0.0)(pair(labels, labels))
    assert np.array_equal(still['moving'][0], labels)
