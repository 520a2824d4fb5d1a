"""Problems are reported all at once; what is cached is what would have been decoded."""

import os
from collections import Counter

import numpy as np
import pytest
import SimpleITK as sitk
from torch.utils.data import DataLoader

from mmreg.datasets import PairListDataset, verify
from mmreg.datasets.cache import build_volumes, nbytes
from mmreg.datasets.loader import Loader, fingerprint
from mmreg.datasets.transforms import DivideBy, LoadVolumes
from mmreg.errors import ConfigError, DataError

from .helpers import SHAPE, image_array, label_array, lumir_folder, pair_csv, pair_folder, put


def test_all_problems_at_once_with_paths(tmp_path):
    pair_folder(tmp_path)
    put(tmp_path / 'wide.nii.gz', image_array(shape=(8, 9, 12)))
    put(tmp_path / 'wide_seg.nii.gz', label_array(shape=(8, 9, 13)))
    (tmp_path / 'text.nii.gz').write_text('no image')
    rows = [
        dict(fixed='a.nii.gz', moving='gone.nii.gz'),
        dict(fixed='a.nii.gz', moving='wide.nii.gz'),
        dict(fixed='wide.nii.gz', moving='a.nii.gz', fixed_labels='wide_seg.nii.gz'),
        dict(fixed='text.nii.gz', moving='a.nii.gz'),
        dict(fixed='', moving='a.nii.gz'),
    ]
    with pytest.raises(DataError) as error:
        PairListDataset(str(pair_csv(tmp_path, rows)))
    text = str(error.value)
    assert 'found 6 problems' in text.splitlines()[0]
    assert f'{tmp_path / "gone.nii.gz"}: no such file (image)' in text
    assert 'wide_seg.nii.gz: labels of shape (8, 9, 13), expected (8, 9, 12)' in text
    assert 'wide.nii.gz: shape (8, 9, 12), expected (8, 9, 10)' in text
    assert 'text.nii.gz' in text
    assert "pair 5: no 'fixed'" in text


def test_at_most_eight_are_shown(tmp_path):
    rows = [dict(fixed=f'f{n}.nii.gz', moving=f'm{n}.nii.gz') for n in range(20)]
    with pytest.raises(DataError) as error:
        PairListDataset(str(pair_csv(tmp_path, rows)))
    text = str(error.value)
    assert 'found 40 problems' in text and text.endswith(' and 32 more.') and text.count('no such file') == 8


def test_checks_can_be_chosen(tmp_path):
    pair_folder(tmp_path)
    put(tmp_path / 'b.nii.gz', np.where(image_array() > 0.5, np.nan, image_array()).astype(np.float32))
    path = str(tmp_path / 'pairs.csv')
    PairListDataset(path, checks='headers')
    with pytest.raises(DataError, match=r'b\.nii\.gz.*NaN'):
        PairListDataset(path, checks='volumes')
    os.remove(tmp_path / 'a.nii.gz')
    with pytest.raises(DataError, match='no such file'):
        PairListDataset(path, checks='exist')
    assert len(PairListDataset(path, checks=None)) == 1
    with pytest.raises(ConfigError, match="checks='none'"):
        PairListDataset(path, checks='none')


def test_shapes_may_differ_where_allowed(tmp_path):
    pair_folder(tmp_path)
    put(tmp_path / 'b.nii.gz', image_array(shape=(5, 6, 7)))
    put(tmp_path / 'b_seg.nii.gz', label_array(shape=(5, 6, 7)))
    with pytest.raises(DataError, match=r'shape \(5, 6, 7\), expected \(8, 9, 10\)'):
        PairListDataset(str(tmp_path / 'pairs.csv'))
    crop = [dict(type='LoadVolumes'), dict(type='CenterCrop', size=(6, 6, 6))]
    sample = PairListDataset(str(tmp_path / 'pairs.csv'), same_shape=False, preprocess=crop)[0]
    assert sample['inputs']['moving'].shape == sample['inputs']['fixed'].shape == (1, 6, 6, 6)


class CountingLoad(LoadVolumes):
    calls: Counter = Counter()

    def __call__(self, source):
        self.calls[source['image']] += 1
        return super().__call__(source)


CACHES = [
    None,
    'memory',
    dict(type='memory', eager=True, progress=False),
    dict(type='memory', rate=0.5),
    dict(type='memory', limit_gb=0.0),
    dict(type='disk'),
]


@pytest.mark.parametrize('cache', CACHES, ids=str)
def test_cached_samples_are_the_same(tmp_path, monkeypatch, cache):
    monkeypatch.setenv('MMREG_CACHE', str(tmp_path / 'cache'))
    path = str(pair_folder(tmp_path))
    expected = PairListDataset(path)[0]
    CountingLoad.calls.clear()
    dataset = PairListDataset(path, preprocess=[CountingLoad()], cache=cache)
    for _ in range(3):
        sample = dataset[0]
        assert sample['inputs'].keys() == expected['inputs'].keys()
        for key, value in expected['inputs'].items():
            assert (sample['inputs'][key] == value).all()
        assert sample['data_samples'].affine == expected['data_samples'].affine
        sample['inputs']['fixed'].zero_()  # must not reach the cache
    total = sum(CountingLoad.calls.values())
    if cache in ('memory', dict(type='disk')):
        assert total == 2
    elif cache == CACHES[2]:
        assert total == 3, 'one image tells how many fit'
    else:
        assert total > 3


def test_disk_cache_is_keyed_by_file_and_transforms(tmp_path):
    path, folder = str(pair_folder(tmp_path)), tmp_path / 'cache'
    cache = dict(type='disk', folder=str(folder))

    def run(*transforms):
        CountingLoad.calls.clear()
        sample = PairListDataset(path, preprocess=[CountingLoad(), *transforms], cache=cache)[0]
        return sample['inputs']['fixed'], sum(CountingLoad.calls.values())

    plain, decoded = run()
    assert decoded == 2 and run()[1] == 0, 'a second run decodes nothing'
    halved, decoded = run(DivideBy(2))
    assert decoded == 2 and (halved == plain / 2).all()
    put(tmp_path / 'a.nii.gz', image_array(9))
    changed, decoded = run()
    assert decoded == 1 and (changed[0].numpy() == image_array(9)).all()
    damaged = sorted(folder.glob('*.pt'))
    for file in damaged:
        file.write_bytes(file.read_bytes()[:100])
    again, decoded = run()
    assert decoded == 2 and (again == changed).all()
    assert not [file for file in folder.iterdir() if file.name.startswith('.')], 'no temporary file is left'


def test_fingerprint_says_what_was_done():
    assert fingerprint([DivideBy(2)]) == fingerprint([DivideBy(2)])
    assert len({fingerprint(t) for t in ([], [DivideBy(2)], [DivideBy(3)], [LoadVolumes(), DivideBy(2)])}) == 4


def test_memory_limit_keeps_the_first_images(tmp_path):
    pair_folder(tmp_path)
    calls = Counter()

    def load(source):
        calls[source['id']] += 1
        return {'image': np.zeros(2**18, np.float32)}

    sources = [{'id': n, 'image': f'{n}'} for n in range(4)]
    volumes = build_volumes(sources, Loader(load), dict(type='memory', limit_gb=2.5 * 2**-10))
    assert nbytes(load(sources[0])) == 2**20
    calls.clear()
    for _ in range(3):
        for n in range(4):
            volumes[n]
    assert calls == {1: 1, 2: 3, 3: 3}, 'image 0 was decoded when the cache was made'


@pytest.mark.parametrize('cache', ['ram', dict(type='memory', size=3), dict(type='disk', limit_gb=3)])
def test_unknown_cache_is_refused(tmp_path, cache):
    with pytest.raises(ConfigError, match='cache='):
        PairListDataset(str(pair_folder(tmp_path)), cache=cache)


def test_volumes_never_enter_the_data_list(tmp_path):
    lumir_folder(tmp_path)
    dataset = PairListDataset(str(pair_folder(tmp_path)), cache='memory', serialize_data=False)
    dataset[0]
    assert dataset.data_list == [dict(moving=1, fixed=0, case_id='', exchange=False)]
    assert dataset[0]['data_samples'].shape == SHAPE


def test_worker_tells_one_sentence(tmp_path):
    pair_folder(tmp_path)
    dataset = PairListDataset(str(tmp_path / 'pairs.csv'))
    put(tmp_path / 'a.nii.gz', np.full(SHAPE, 2.0, np.float32))
    with pytest.raises(DataError) as error:
        next(iter(DataLoader(dataset, num_workers=1, collate_fn=list)))
    assert str(error.value).startswith(f'{tmp_path / "a.nii.gz"}: found a constant image')
    assert 'Traceback' not in str(error.value)


def with_header(path, offset, value):
    """Overwrite one float of a plain NIfTI-1 header."""
    content = bytearray(path.read_bytes())
    content[offset : offset + 4] = np.float32(value).tobytes()
    path.write_bytes(content)
    return path


def four_dimensional(folder):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 4, 4, 4), np.float32), isVector=False), str(folder / 'c.nii'))


def zero_spacing(folder):
    with_header(put(folder / 'c.nii', image_array()), 80, 0.0)


def sheared(folder):
    path = with_header(put(folder / 'c.nii', image_array()), 284, 1.5)  # srow_x[1]
    content = bytearray(path.read_bytes())
    content[252:254] = bytes(2)  # qform_code: only the sform counts
    path.write_bytes(content)


@pytest.mark.parametrize(
    'make, message',
    [
        (four_dimensional, 'found 4-D data|found a 4-D image'),
        (zero_spacing, 'voxel spacing of'),
        (sheared, 'sheared or not invertible'),
    ],
)
def test_impossible_geometry(tmp_path, make, message):
    pair_folder(tmp_path)
    make(tmp_path)
    rows = [dict(fixed='a.nii.gz', moving='c.nii')]
    with pytest.raises(DataError, match=rf'c\.nii: .*({message})'):
        PairListDataset(str(pair_csv(tmp_path, rows)), same_shape=False, checks='volumes')


def test_single_fourth_axis_is_admitted(tmp_path):
    pair_folder(tmp_path)
    array = image_array(5).transpose()[None]
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=False), str(tmp_path / 'c.nii.gz'))
    rows = [dict(fixed='a.nii.gz', moving='c.nii.gz')]
    sample = PairListDataset(str(pair_csv(tmp_path, rows)))[0]
    assert (sample['inputs']['moving'][0].numpy() == image_array(5)).all()


def test_headers_are_read_once_in_a_process(tmp_path, monkeypatch):
    """A run looks at its data before it begins, and the engine builds the same data set again."""
    pair_folder(tmp_path)
    path = str(pair_csv(tmp_path, [dict(fixed='a.nii.gz', moving='b.nii.gz')]))
    read = []
    original = verify.read_geometry
    monkeypatch.setattr(verify, 'read_geometry', lambda file: read.append(file) or original(file))
    for _ in range(2):
        PairListDataset(path)
    assert sorted(read) == [str(tmp_path / name) for name in ('a.nii.gz', 'b.nii.gz')]
    put(tmp_path / 'b.nii.gz', image_array(shape=(8, 9, 12)))
    with pytest.raises(DataError, match=r'shape \(8, 9, 12\)'):
        PairListDataset(path)


def test_many_problems_are_one_sentence_with_their_number():
    problems = [verify.Problem(f'/data/list.csv, pair {k}', "no 'fixed'") for k in range(30)]
    problems.append(verify.Problem('/elsewhere/a.nii.gz', 'no such file'))
    with pytest.raises(DataError) as caught:
        verify.report('the pair list', '/data/list.csv', problems)
    text = str(caught.value)
    assert '31 problems' in text and "pair 0: no 'fixed'; pair 1" in text and text.endswith('and 23 more.')
    assert text.count('/data/list.csv') == 1 and '\n' not in text
    with pytest.raises(DataError, match='1 problem in its files: a/b.nii.gz: no such file'):
        verify.report('PairListDataset', '/data/', [verify.Problem('/data/a/b.nii.gz', 'no such file')])
