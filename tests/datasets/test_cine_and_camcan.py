"""Cine stacks, CamCAN brains, simulated hearts: layouts, slices, labels, the seeded fraction, bad folders."""

import numpy as np
import pytest
import torch

from mmreg.datasets import ACDCCineDataset, BeatingHearts, CamCANDataset, CineDataset, MMsDataset
from mmreg.datasets.fraction import seeded_fraction
from mmreg.datasets.transforms import CropAroundLabels, Resample
from mmreg.errors import ConfigError, DataError
from mmreg.spatial import warp

from .helpers import image_array, label_array, put

STACK = (20, 22, 5)


def heart_labels(seed, corner=(6, 7)):
    labels = np.zeros(STACK, np.int16)
    y, x = corner
    labels[y : y + 6, x : x + 6] = 1 + np.random.default_rng(seed).integers(0, 3, (6, 6, STACK[2]))
    return labels


def cine_folder(root, split='train', subjects=3, names=('sa_ED', 'sa_ES', 'label_sa_ED', 'label_sa_ES')):
    for number in range(subjects):
        folder = root / split / f'subject{number}'
        folder.mkdir(parents=True)
        for k, name in enumerate(names):
            array = image_array(10 * number + k, STACK, 900) if k < 2 else heart_labels(number)
            put(folder / f'{name}.nii.gz', array, spacing=(1.8, 1.8, 10.0))
    return root


def test_random_slices_differ_between_visits(tmp_path):
    data = CineDataset(cine_folder(tmp_path), folder='train')
    assert len(data) == 3
    items = [data[0 + draw * len(data)] for draw in range(8)]
    names = {item['data_samples'].case_id for item in items}
    assert len(names) > 1 and {item['data_samples'].volume_id for item in items} == {'subject0'}
    assert items[0]['inputs']['fixed'].shape == (1, 20, 22)
    assert items[0]['data_samples'].spacing == pytest.approx((1.8, 1.8))
    again = data[0]
    assert torch.equal(again['inputs']['fixed'], items[0]['inputs']['fixed'])


def test_fixed_is_ed_and_slices_are_those_of_the_stack(tmp_path):
    data = CineDataset(cine_folder(tmp_path), folder='train', slices=(0.25, 0.5, 0.75))
    assert [data[k]['data_samples'].case_id for k in range(3)] == [f'subject0_slice{z:02d}' for z in (1, 2, 3)]
    fixed = image_array(0, STACK, 900)
    np.testing.assert_allclose(data[1]['inputs']['fixed'][0].numpy(), fixed[..., 2], rtol=1e-5)
    np.testing.assert_allclose(data[1]['inputs']['moving'][0].numpy(), image_array(1, STACK, 900)[..., 2], rtol=1e-5)
    assert len(CineDataset(tmp_path, folder='train', slices='all')) == 15
    assert len(CineDataset(tmp_path, folder='train', slices='all', limits=(1, 4))) == 9


def test_crop_around_labels_and_normalised_slices(tmp_path):
    data = CineDataset(
        cine_folder(tmp_path),
        folder='train',
        slices='all',
        stack=[dict(type='CropAroundLabels', size=(8, 8, None))],
        pipeline=[dict(type='PercentileWindow'), dict(type='PackRegInputs', extra_meta=('volume_id',))],
    )
    item = data[4]['inputs']
    assert item['fixed'].shape == (1, 8, 8) and item['fixed_labels'][0, 1:7, 1:7].min() > 0
    for key in ('fixed', 'moving'):
        assert item[key].min() == 0 and item[key].max() == pytest.approx(1, abs=1e-6)


def test_crop_without_labels_is_centred_and_affine_follows():
    image = np.arange(30.0).reshape(1, 5, 6)
    out = CropAroundLabels((3, 4))({'image': image, 'affine': np.eye(3)})
    np.testing.assert_array_equal(out['image'][0], image[0, 1:4, 1:5])
    np.testing.assert_array_equal(out['affine'][:2, 2], [1, 1])
    with pytest.raises(ConfigError, match='for an image of shape'):
        CropAroundLabels((3, 4, 5))({'image': image})


def test_mms_vendors_and_cleaned_labels(tmp_path):
    cine_folder(tmp_path, 'test', names=('ED_img', 'ES_img', 'ED_seg', 'ES_seg'))
    (tmp_path / 'information.csv').write_text('External code,Vendor\nsubject0,A\nsubject1,B\nsubject2,B\n')
    data = MMsDataset(tmp_path, folder='test', vendors=['B'], slices='all')
    assert {data[k]['data_samples'].volume_id for k in range(len(data))} == {'subject1', 'subject2'}
    clean = MMsDataset(tmp_path, folder='test', slices='all', stack=[dict(type='CleanStackLabels', classes=(0, 1, 9))])
    assert not clean[0]['inputs']['fixed_labels'].any()
    (tmp_path / 'information.csv').write_text('a,b\n1,2\n')
    with pytest.raises(DataError, match='"External code" and "Vendor"'):
        len(MMsDataset(tmp_path, folder='test', vendors=['B']))


def test_acdc_frames_from_info(tmp_path):
    folder = tmp_path / 'training' / 'patient001'
    folder.mkdir(parents=True)
    for frame in (1, 12):
        put(folder / f'patient001_frame{frame:02d}.nii.gz', image_array(frame, STACK))
        put(folder / f'patient001_frame{frame:02d}_gt.nii.gz', heart_labels(0))
    with pytest.raises(DataError, match='expected lines such as "ED: 1"'):
        len(ACDCCineDataset(tmp_path))
    (folder / 'Info.cfg').write_text('ED: 1\nES: 12\nGroup: DCM\n')
    data = ACDCCineDataset(tmp_path, slices='all')
    assert len(data) == 5
    np.testing.assert_allclose(data[2]['inputs']['moving'][0].numpy(), image_array(12, STACK)[..., 2], rtol=1e-5)


def brains(root, count=4):
    for number in range(count):
        folder = root / 'train' / f'sub{number}'
        folder.mkdir(parents=True)
        for k, name in enumerate(('T1_brain', 'T2_brain')):
            put(folder / f'{name}.nii.gz', image_array(10 * number + k, (10, 11, 9), 100))
        put(folder / 'T1_brain_MALPEM_tissues.nii.gz', label_array(number, (10, 11, 9), range(6)))
    return root


PREPARE = [dict(type='LoadVolumes'), dict(type='Resample', size=(8, 8, 8))]


def test_camcan_pairs_never_a_subject_with_itself(tmp_path):
    data = CamCANDataset(brains(tmp_path), folder='train', preprocess=PREPARE)
    names = [data[k + draw * 4]['data_samples'].case_id.split('_') for draw in range(4) for k in range(4)]
    assert all(fixed != moving for fixed, moving in names)
    item = data[0]
    assert item['inputs']['fixed'].shape == (1, 8, 8, 8) and item['inputs']['fixed_labels'].max() <= 5
    assert item['data_samples'].spacing == pytest.approx((9 / 7, 2 * 10 / 7, 3 * 8 / 7))
    following = CamCANDataset(tmp_path, folder='train', pairing='next', preprocess=PREPARE)
    assert [following[k]['data_samples'].case_id for k in (0, 3)] == ['sub0_sub1', 'sub3_sub0']


def test_camcan_t2_and_atlas(tmp_path):
    brains(tmp_path)
    both = CamCANDataset(
        tmp_path, folder='train', pairing='next', modality='t1t2', preprocess=[dict(type='LoadVolumes')]
    )
    inputs = both[0]['inputs']
    np.testing.assert_allclose(inputs['fixed'][0].numpy(), image_array(0, (10, 11, 9), 100), rtol=1e-5)
    np.testing.assert_allclose(inputs['moving'][0].numpy(), image_array(11, (10, 11, 9), 100), rtol=1e-5)
    atlas = CamCANDataset(tmp_path, folder='train', atlas='train/sub3', preprocess=PREPARE)
    assert len(atlas) == 4 and atlas[1]['data_samples'].fixed_path.endswith('sub3/T1_brain.nii.gz')


def test_seeded_fraction():
    everyone = list(range(20))
    tenth, half = seeded_fraction(everyone, 0.1, 3), seeded_fraction(everyone, 0.5, 3)
    assert len(tenth) == len(half) == 20 and len(set(tenth)) == 2 and set(tenth) < set(half)
    assert seeded_fraction(everyone, 0.1, 3) == tenth and seeded_fraction(everyone, 0.1, 4) != tenth
    assert len(set(seeded_fraction(everyone, 0.01))) == 1 and seeded_fraction(everyone, 1.0) == everyone
    for wrong in (0, 1.5):
        with pytest.raises(ConfigError, match='above 0 and up to 1'):
            seeded_fraction(everyone, wrong)


def test_fraction_of_a_cine_data_set(tmp_path):
    data = CineDataset(cine_folder(tmp_path, subjects=4), folder='train', fraction=0.5)
    assert len(data) == 4 and len({data[k]['data_samples'].volume_id for k in range(4)}) == 2


@pytest.mark.parametrize('make', [CineDataset, CamCANDataset, ACDCCineDataset])
def test_missing_folder_in_one_sentence(make, tmp_path):
    with pytest.raises(DataError, match='no such folder'):
        len(make(str(tmp_path / 'nowhere')))


def test_unknown_options():
    with pytest.raises(ConfigError, match="expected 'random', 'all'"):
        CineDataset('x', slices='some')
    with pytest.raises(ConfigError, match='expected one of'):
        CamCANDataset('x', modality='t2t2')
    with pytest.raises(ConfigError, match='expected exactly one'):
        Resample(size=(3, 3), factor=(1, 1))


def test_true_field_of_the_hearts():
    data = BeatingHearts(first=5, count=2, size=(48, 48))
    inputs = data[1]['inputs']
    true, inside = inputs['true_displacement'], inputs['true_displacement_valid'][0]
    warped = warp(inputs['moving'][None], true[None])[0]
    before, after = ((image - inputs['fixed'])[0][inside].square().mean() for image in (inputs['moving'], warped))
    assert after < 0.1 * before and true.norm(dim=0).max() > 2
    assert set(inputs['fixed_labels'].unique().tolist()) == {0, 1, 2, 3}
    assert torch.equal(inputs['fixed'], BeatingHearts(first=6, count=1, size=(48, 48))[0]['inputs']['fixed'])
