"""Every data set on a small folder of its layout, and what is said about a folder that is not."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader

import mmreg.evaluation  # noqa: F401  (registers the metrics)
from mmreg.datasets import (
    AbdomenCTCTDataset,
    ACDCDataset,
    Index,
    Learn2RegDataset,
    LUMIRDataset,
    OASISDataset,
    Pair,
    PairDataset,
    PairListDataset,
)
from mmreg.engine.data_check import check_evaluator
from mmreg.errors import ConfigError, DataError
from mmreg.io import write_landmarks_voxel
from mmreg.registry import METRICS

from .helpers import SHAPE, image_array, label_array, lumir_folder, pair_csv, pair_folder, put, put_json, put_subject


def case_ids(dataset):
    return [sample['data_samples'].case_id for sample in dataset]


# LUMIR -----------------------------------------------------------------------------------------------------------


def test_lumir_training_draws_the_fixed_image(tmp_path):
    dataset = LUMIRDataset(data_root=str(lumir_folder(tmp_path)), split='training')
    assert len(dataset) == 4
    moving = [sample['data_samples'].moving_path.split('_')[-2] for sample in dataset]
    assert moving == ['0000', '0001', '0002', '0003']
    inputs = dataset[0]['inputs']
    assert set(inputs) == {'fixed', 'moving'}
    np.testing.assert_allclose(inputs['moving'][0].numpy(), image_array(0, scale=255) / 255, rtol=1e-6)


def test_lumir_validation_is_all_ordered_pairs_of_labelled_subjects(tmp_path):
    dataset = LUMIRDataset(data_root=str(lumir_folder(tmp_path)), split='validation')
    assert sorted(case_ids(dataset)) == sorted(f'{a}_{b}' for a in (100, 101, 102) for b in (100, 101, 102) if a != b)
    assert (dataset[0]['inputs']['fixed_labels'][0].numpy() == label_array(101)).all()


@pytest.mark.parametrize('challenge', [False, True])
def test_lumir_pairs_under_either_key(tmp_path, challenge):
    split = 'validation' if challenge else 'test'
    dataset = LUMIRDataset(data_root=str(lumir_folder(tmp_path, challenge=challenge)), split=split)
    assert case_ids(dataset) == ['201_200', '202_201'], 'fixed first, as in the names of submitted files'
    assert 'fixed_labels' not in dataset[0]['inputs']


def test_lumir_missing_keys_and_files(tmp_path):
    lumir_folder(tmp_path, challenge=True)
    with pytest.raises(DataError, match=r"no entries under 'registration_test' or 'test' or 'eval_pairs', only under"):
        LUMIRDataset(data_root=str(tmp_path), split='test')
    (tmp_path / 'imagesTr' / 'LUMIRMRI_0002_0000.nii.gz').unlink()
    (tmp_path / 'imagesTr' / 'LUMIRMRI_0003_0000.nii.gz').unlink()
    with pytest.raises(DataError, match=r'(?s)2 problems.*_0002_0000.*no such file.*_0003_0000'):
        LUMIRDataset(data_root=str(tmp_path))
    with pytest.raises(DataError, match=r'other\.json: no such file'):
        LUMIRDataset(ann_file='other.json', data_root=str(tmp_path))
    with pytest.raises(ConfigError, match="split='train'"):
        LUMIRDataset(data_root=str(tmp_path), split='train')


@pytest.mark.parametrize(
    'content, message',
    [
        ('{"training": [', 'not readable as JSON'),
        ('[1, 2]', 'found a list, expected an object'),
        ('{"training": [{"picture": "a"}]}', r"training\[0\]: the keys \['picture'\], expected 'image'"),
        ('{"training": [3]}', 'holds something else than entries'),
        ('{}', 'no entries under'),
    ],
)
def test_bad_json(tmp_path, content, message):
    (tmp_path / 'LUMIR_dataset.json').write_text(content)
    with pytest.raises(DataError, match=message):
        LUMIRDataset(data_root=str(tmp_path))


# Generic Learn2Reg -----------------------------------------------------------------------------------------------


def learn2reg_folder(folder):
    """Three pairs with labels, masks and keypoints in the folders beside the images, as the challenges lay them out."""
    for case in (1, 2, 3):
        for phase in (0, 1):
            name = f'Toy_{case:04d}_{phase:04d}.nii.gz'
            put_subject(folder, name, 10 * case + phase)
            put(folder / 'masksTr' / name, np.ones(SHAPE, np.uint8))
            (folder / 'keypointsTr').mkdir(exist_ok=True)
            write_landmarks_voxel(folder / 'keypointsTr' / name.replace('.nii.gz', '.csv'), np.ones((4, 3)) * phase)
    pairs = [
        {'fixed': f'./imagesTr/Toy_{c:04d}_0000.nii.gz', 'moving': f'./imagesTr/Toy_{c:04d}_0001.nii.gz'}
        for c in (1, 2, 3)
    ]
    images = [{'image': p[role]} for p in pairs for role in ('fixed', 'moving')]
    content = {
        'training': images,
        'training_paired_images': {str(i): pair for i, pair in enumerate(pairs[:2])},
        'registration_val': pairs[2:],
        'eval_pairs': pairs,
    }
    put_json(folder / 'Toy_dataset.json', content)
    return dict(ann_file='Toy_dataset.json', data_root=str(folder))


def test_learn2reg_pairs_with_everything(tmp_path):
    arguments = learn2reg_folder(tmp_path)
    dataset = Learn2RegDataset(**arguments, split='training')
    assert case_ids(dataset) == ['0001_0001_0001', '0002_0002_0001']
    inputs = dataset[0]['inputs']
    assert set(inputs) == {f'{r}{x}' for r in ('fixed', 'moving') for x in ('', '_labels', '_mask', '_landmarks')}
    assert (inputs['moving_landmarks'] == 1).all() and (inputs['fixed_landmarks'] == 0).all()
    assert len(Learn2RegDataset(**arguments, split='validation')) == 1
    assert len(Learn2RegDataset(**arguments, key='eval_pairs')) == 3


def test_learn2reg_unpaired_leaves_validation_subjects_out(tmp_path):
    arguments = learn2reg_folder(tmp_path)
    dataset = Learn2RegDataset(**arguments, split='training', pairing='random')
    assert len(dataset) == 4
    assert len(Learn2RegDataset(**arguments, pairing='random', held_out=False)) == 6


# OASIS -----------------------------------------------------------------------------------------------------------


def dump(path, *arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(arrays))


def oasis_pickles(folder):
    for number in (3, 1, 2):
        dump(folder / 'train' / f'p_{number:04d}.pkl', image_array(number), label_array(number))
    dump(folder / 'val' / 'p_0438_0439.pkl', image_array(39), image_array(38), label_array(39), label_array(38))
    return str(folder)


def test_oasis_pickles(tmp_path):
    root = oasis_pickles(tmp_path)
    dataset = OASISDataset(root, edition='pickle')
    assert [source['id'] for source in dataset.sources] == ['0001', '0002', '0003']
    assert (dataset[1]['inputs']['moving'][0].numpy() == image_array(2)).all()
    assert (dataset[1]['inputs']['moving_labels'][0].numpy() == label_array(2)).all()
    pair = OASISDataset(root, split='validation', edition='pickle')[0]
    assert pair['data_samples'].case_id == '0438_0439'
    for role, seed in (('fixed', 38), ('moving', 39)):
        assert (pair['inputs'][role][0].numpy() == image_array(seed)).all()
        assert (pair['inputs'][f'{role}_labels'][0].numpy() == label_array(seed)).all()


@pytest.mark.parametrize('rest', [(), (None, None)])
def test_oasis_pairs_of_a_test_set_have_no_labels(tmp_path, rest):
    (tmp_path / 'val').mkdir()
    content = (image_array(39), image_array(38), *rest)
    (tmp_path / 'val' / 'p_0438_0439.pkl').write_bytes(pickle.dumps(content))
    dataset = OASISDataset(str(tmp_path), split='test', edition='pickle')
    assert set(dataset[0]['inputs']) == {'fixed', 'moving'}
    (lack,) = check_evaluator(DataLoader(dataset), [METRICS.build(dict(type='DiceMetric'))])
    assert (lack.pairs, lack.total) == (1, 1)


def test_oasis_problems(tmp_path):
    with pytest.raises(DataError, match='no pickles found, expected files such as p_0001.pkl'):
        OASISDataset(str(tmp_path), edition='pickle')
    oasis_pickles(tmp_path)
    dump(tmp_path / 'train' / 'p_0001.pkl', image_array(1), label_array(1, values=(0, 36, 99)))
    with pytest.raises(DataError, match=r'p_0001\.pkl holds the labels \[36, 99\], expected only \[1, 2, 3'):
        OASISDataset(str(tmp_path), edition='pickle', checks='volumes')
    with pytest.raises(ConfigError, match='edition='):
        OASISDataset(str(tmp_path), edition='zip')


def test_oasis_nifti_trains_without_validation_subjects(tmp_path):
    names = [f'OASIS_{n:04d}_0000.nii.gz' for n in range(1, 6)]
    for seed, name in enumerate(names):
        put_subject(tmp_path, name, seed)
    pair = {'fixed': f'./imagesTr/{names[3]}', 'moving': f'./imagesTr/{names[4]}'}
    entries = [{'image': f'./imagesTr/{n}', 'label': f'./labelsTr/{n}'} for n in names]
    put_json(tmp_path / 'OASIS_dataset.json', {'training': entries, 'registration_val': [pair]})
    assert len(OASISDataset(str(tmp_path))) == 3
    validation = OASISDataset(str(tmp_path), split='validation')
    assert case_ids(validation) == ['0004_0005']
    assert (validation[0]['inputs']['fixed_labels'][0].numpy() == label_array(3)).all()


# Abdomen and ACDC ------------------------------------------------------------------------------------------------


def abdomen_folder(folder, numbers):
    for n in numbers:
        put(folder / 'img' / f'img{n:04d}.nii.gz', image_array(n, scale=2000) - 900)
        put(folder / 'label' / f'label{n:04d}.nii.gz', label_array(n, values=range(14)))
    return str(folder)


def test_abdomen_pairs_and_grid(tmp_path):
    dataset = AbdomenCTCTDataset(abdomen_folder(tmp_path, (21, 22, 23)), split='validation')
    assert len(dataset) == 6
    inputs, meta = dataset[0]['inputs'], dataset[0]['data_samples']
    assert inputs['fixed'].shape == inputs['fixed_labels'].shape == (1, 4, 4, 5)
    # Spline overshoot apart, intensities are in [0, 1]; corner-aligned halving stretches voxels by (n-1)/(m-1).
    assert inputs['fixed'].min() > -0.3 and inputs['fixed'].max() < 1.3
    np.testing.assert_allclose(meta.spacing, (7 / 3, 2 * 8 / 3, 3 * 9 / 4))


def test_abdomen_splits_count_as_published():
    for split, subjects, pairs in (('training', 20, 380), ('validation', 3, 6), ('test', 7, 42)):
        dataset = AbdomenCTCTDataset('nowhere', split=split, checks=None)
        assert (len(dataset.sources), len(dataset)) == (subjects, pairs)


def acdc_folder(folder, numbers=(1, 18, 101)):
    for n in numbers:
        part = folder / ('train' if n <= 100 else 'test')
        for phase in ('ed', 'es'):
            put(part / f'patient{n:03d}_{phase}_img.nii.gz', image_array(n + (phase == 'es'), scale=500))
            put(part / f'patient{n:03d}_{phase}_seg.nii.gz', label_array(n))
    return str(folder)


def test_acdc_exchanges_in_training_only(tmp_path):
    root = acdc_folder(tmp_path)
    training = ACDCDataset(root, subjects=(1,))
    paths = {training[draw]['data_samples'].moving_path[-13:-11] for draw in range(20)}
    assert paths == {'ed', 'es'}
    for split, number in (('validation', 18), ('test', 101)):
        both = ACDCDataset(root, split=split, subjects=(number,))
        name = f'patient{number:03d}'
        assert case_ids(both) == [name, f'{name}_reverse']
        assert 'es_img' in both[0]['data_samples'].fixed_path and 'ed_img' in both[0]['data_samples'].moving_path
        assert (both[0]['inputs']['fixed'] == both[1]['inputs']['moving']).all()
    image = both[0]['inputs']['fixed']
    assert image.min() == 0 and abs(image.max() - 1) < 1e-6


def test_acdc_splits_count_as_published():
    training = ACDCDataset('nowhere', checks=None)
    assert len(training) == 85
    assert {1, 17, 21, 97} <= set(training.subjects) and not {18, 20, 98, 101} & set(training.subjects)
    assert len(ACDCDataset('nowhere', split='validation', checks=None)) == 30
    assert len(ACDCDataset('nowhere', split='test', checks=None)) == 100


def test_acdc_lists_all_missing_files(tmp_path):
    acdc_folder(tmp_path)
    with pytest.raises(DataError, match=r'(?s)found 336 problems.*patient002_ed_img\.nii\.gz: no such file'):
        ACDCDataset(str(tmp_path))


# Lists of pairs --------------------------------------------------------------------------------------------------


def test_pair_list_csv_and_json(tmp_path):
    pair_folder(tmp_path)
    row = dict(fixed='a.nii.gz', moving='b.nii.gz', moving_labels='b_seg.nii.gz', case_id='mine')
    for name, content in (('list.json', [row]), ('object.json', {'pairs': [row]})):
        put_json(tmp_path / name, content)
        dataset = PairListDataset(name, data_root=str(tmp_path))
        assert case_ids(dataset) == ['mine'] and 'fixed_labels' not in dataset[0]['inputs']
    sample = PairListDataset(str(tmp_path / 'pairs.csv'))[0]
    assert sample['data_samples'].case_id == 'a_b'
    assert (sample['inputs']['moving'][0].numpy() == image_array(1)).all()


def test_pair_list_exchanges_when_asked(tmp_path):
    dataset = PairListDataset(str(pair_folder(tmp_path)), pairing='exchange')
    assert {dataset[draw]['data_samples'].fixed_path[-8] for draw in range(20)} == {'a', 'b'}
    assert len(PairListDataset(str(tmp_path / 'pairs.csv'), pairing='both')) == 2


def test_image_that_occurs_twice_is_one_source(tmp_path):
    pair_folder(tmp_path)
    rows = [dict(fixed='a.nii.gz', moving='b.nii.gz'), dict(fixed='b.nii.gz', moving='a.nii.gz')]
    assert len(PairListDataset(str(pair_csv(tmp_path, rows))).sources) == 2


@pytest.mark.parametrize(
    'name, content, message',
    [
        ('a.txt', 'fixed,moving', "ending '.txt'"),
        ('a.csv', 'fixed,moving\n', 'found no list of pairs'),
        ('a.csv', 'fixed,mooving\nx,y\n', r"no 'moving'.*|unknown columns \['mooving'\]"),
        ('a.json', '{"pairs": 3}', 'found no list of pairs'),
        ('a.json', '{', 'not readable as JSON'),
    ],
)
def test_bad_pair_lists(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        PairListDataset(str(tmp_path / name))
    with pytest.raises(DataError, match=r'gone\.csv: no such file'):
        PairListDataset(str(tmp_path / 'gone.csv'))


def test_different_label_sets(tmp_path):
    pair_folder(tmp_path)
    path = str(tmp_path / 'pairs.csv')
    put(tmp_path / 'b_seg.nii.gz', label_array(1, values=(0, 1, 2)))
    with pytest.raises(DataError, match=r"a_b: the fixed labels \[1, 2, 3\].*moving labels \[1, 2\].*'overlap'"):
        PairListDataset(path)[0]
    assert PairListDataset(path, label_sets='overlap')[0]
    put(tmp_path / 'b_seg.nii.gz', label_array(1, values=(0, 7, 8)))
    with pytest.raises(DataError, match='expected the same label set'):
        PairListDataset(path, label_sets='overlap')[0]
    assert PairListDataset(path, label_sets='any')[0]


def test_limit_keeps_the_first_subjects(tmp_path):
    root = str(lumir_folder(tmp_path))
    assert len(LUMIRDataset(data_root=root, limit=2)) == 2
    assert len(LUMIRDataset(data_root=root, limit=0.8)) == 3
    assert len(LUMIRDataset(data_root=root, split='validation', limit=2)) == 2
    with pytest.raises(DataError, match='no pair of images'):
        LUMIRDataset(data_root=root, limit=1)


def test_next_pairs_are_cyclic(tmp_path):
    dataset = LUMIRDataset(data_root=str(lumir_folder(tmp_path)), pairing='next')
    assert case_ids(dataset) == ['0000_0001', '0001_0002', '0002_0003', '0003_0000']


def test_sorted_lists_do_not_depend_on_the_folder(tmp_path):
    content = json.loads((lumir_folder(tmp_path) / 'LUMIR_dataset.json').read_text(encoding='utf-8'))
    dataset = LUMIRDataset(data_root=str(tmp_path))
    assert [s['image'][len(str(tmp_path)) :] for s in dataset.sources] == [e['image'] for e in content['training']]


# A data set of one's own -----------------------------------------------------------------------------------------


class BeforeAfterDataset(PairDataset):
    """The example of docs/datasets.md."""

    PREPROCESS = (dict(type='LoadVolumes'), dict(type='MinMax'))

    def index(self):
        sources, pairs = [], []
        for folder in sorted(Path(self.data_root).iterdir()):
            pairs.append(Pair(moving=len(sources), fixed=len(sources) + 1, case_id=folder.name))
            for name in ('before', 'after'):
                sources.append({'id': f'{folder.name}_{name}', 'image': str(folder / f'{name}.nii.gz')})
        return Index(sources, pairs)


def test_own_dataset_needs_one_method(tmp_path):
    for name in ('p2', 'p1'):
        for seed, scan in enumerate(('before', 'after')):
            put(tmp_path / name / f'{scan}.nii.gz', image_array(seed))
    dataset = BeforeAfterDataset(data_root=str(tmp_path), cache='memory')
    assert case_ids(dataset) == ['p1', 'p2'] and 'before' in dataset[0]['data_samples'].moving_path
    (tmp_path / 'p1' / 'after.nii.gz').unlink()
    with pytest.raises(DataError, match=r'p1/after\.nii\.gz: no such file'):
        BeforeAfterDataset(data_root=str(tmp_path))


@pytest.mark.parametrize('cache', [None, 'memory', 'disk'])
def test_datasets_travel_to_spawned_workers(tmp_path, monkeypatch, cache):
    monkeypatch.setenv('MMREG_CACHE', str(tmp_path / 'cache'))
    dataset = PairListDataset(str(pair_folder(tmp_path)), cache=cache)
    copy = pickle.loads(pickle.dumps(dataset))
    assert (copy[0]['inputs']['fixed'] == dataset[0]['inputs']['fixed']).all()
