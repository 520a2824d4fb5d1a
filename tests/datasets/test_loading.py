"""Files to arrays, and one sentence for every file that cannot be used."""

import gzip
import pickle

import numpy as np
import pytest

from mmreg.datasets.transforms import LoadVolumes
from mmreg.errors import DataError
from mmreg.io import write_landmarks_voxel, write_landmarks_world

from .helpers import SHAPE, SPACING, image_array, label_array, put


@pytest.fixture
def files(tmp_path):
    image, labels = image_array(), label_array()
    source = {
        'id': 'a',
        'image': str(put(tmp_path / 'a.nii.gz', image)),
        'labels': str(put(tmp_path / 'a_seg.nii.gz', labels)),
        'mask': str(put(tmp_path / 'a_mask.nrrd', (labels > 0).astype(np.uint8))),
    }
    return source, image, labels


def test_reads_everything(files, tmp_path):
    source, image, labels = files
    write_landmarks_voxel(tmp_path / 'p.csv', np.array([[1.0, 2.5, 3.0]]))
    out = LoadVolumes()({**source, 'landmarks': str(tmp_path / 'p.csv')})
    assert out['image'].dtype == np.float32 and (out['image'][0] == image).all()
    assert (out['labels'][0] == labels).all() and out['label_values'].tolist() == [0, 1, 2, 3]
    assert (out['mask'][0] == (labels > 0)).all()
    assert out['landmarks'].tolist() == [[1.0, 2.5, 3.0]]
    np.testing.assert_allclose(np.diag(out['affine'])[:3], SPACING)


def test_landmarks_in_millimetres_and_another_orientation(files, tmp_path):
    source, *_ = files
    write_landmarks_world(tmp_path / 'p.csv', np.array([[1.0, 4.0, 9.0]]))
    out = LoadVolumes()({**source, 'landmarks': str(tmp_path / 'p.csv')})
    np.testing.assert_allclose(out['landmarks'], [[1.0, 2.0, 3.0]], atol=1e-5)
    turned = LoadVolumes(orientation='LPS')({**source, 'landmarks': str(tmp_path / 'p.csv')})
    i, j, k = turned['landmarks'][0].round().astype(int)
    assert turned['image'][0, i, j, k] == out['image'][0, 1, 2, 3]


def test_npz_and_pickle(tmp_path):
    image, labels = image_array(), label_array()
    np.savez(tmp_path / 's.npz', img=image[None], lbl=labels[None])
    source = {'id': 's', 'image': str(tmp_path / 's.npz'), 'labels': str(tmp_path / 's.npz')}
    out = LoadVolumes(spacing=2.0)(source)
    assert (out['image'][0] == image).all() and (out['labels'][0] == labels).all()
    assert out['affine'][0, 0] == 2.0
    path = tmp_path / 's.pkl'
    path.write_bytes(pickle.dumps((image, labels)))
    members = {'image': 0, 'labels': 1}
    again = LoadVolumes()({'id': 's', 'image': str(path), 'labels': str(path), 'members': members})
    assert (again['image'][0] == image).all() and (again['labels'][0] == labels).all()
    with pytest.raises(DataError, match=r's\.pkl: found a tuple of 2.*labels at position 3'):
        LoadVolumes()({'id': 's', 'image': str(path), 'labels': str(path), 'members': {'image': 0, 'labels': 3}})


def bad_image(array):
    return lambda folder: put(folder / 'bad.nii.gz', array)


def truncated(folder):
    path = put(folder / 'bad.nii.gz', image_array())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def no_image(folder):
    (folder / 'bad.nii.gz').write_bytes(gzip.compress(b'a shopping list'))


NAN, INF = image_array(), image_array()
NAN[0, 0, 0], INF[1, 1, 1] = np.nan, np.inf


@pytest.mark.parametrize(
    'make, message',
    [
        (truncated, 'truncated'),
        (no_image, 'not a readable image'),
        (bad_image(NAN), '1 voxels that are NaN or infinite'),
        (bad_image(INF), '1 voxels that are NaN or infinite'),
        (bad_image(np.full(SHAPE, 3.0, np.float32)), 'constant image'),
        (lambda folder: None, 'no such file'),
    ],
)
def test_bad_images(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(DataError, match=rf'bad\.nii\.gz: .*{message}'):
        LoadVolumes()({'id': 'bad', 'image': str(tmp_path / 'bad.nii.gz')})


@pytest.mark.parametrize(
    'labels, message',
    [
        (np.zeros(SHAPE, np.int16), 'empty label map'),
        (label_array(shape=(8, 9, 11)), r'found labels of shape \(8, 9, 11\), expected \(8, 9, 10\)'),
        (image_array(), 'whole numbers'),
    ],
)
def test_bad_labels(files, tmp_path, labels, message):
    put(tmp_path / 'bad.nii.gz', labels)
    with pytest.raises(DataError, match=rf'bad\.nii\.gz: .*{message}'):
        LoadVolumes()({**files[0], 'labels': str(tmp_path / 'bad.nii.gz')})


def test_prompt_may_be_empty(files, tmp_path):
    put(tmp_path / 'prompt.nii.gz', np.zeros(SHAPE, np.int16))
    out = LoadVolumes()({**files[0], 'prompt': str(tmp_path / 'prompt.nii.gz')})
    assert out['prompt'].shape == (1, *SHAPE) and not out['prompt'].any()


class Exploit:
    def __reduce__(self):
        return exec, ('raise SystemExit("executed")',)


def test_pickle_with_code_is_refused(tmp_path):
    path = tmp_path / 'evil.pkl'
    path.write_bytes(pickle.dumps((image_array(), Exploit())))
    with pytest.raises(DataError, match=r'evil\.pkl.*exec'):
        LoadVolumes()({'id': 'e', 'image': str(path), 'members': {'image': 0}})


def test_npz_problems(tmp_path):
    np.savez(tmp_path / 'a.npz', something=image_array())
    with pytest.raises(DataError, match=r"a\.npz: found the arrays \['something'\]"):
        LoadVolumes()({'id': 'a', 'image': str(tmp_path / 'a.npz')})
    np.savez(tmp_path / 'b.npz', image=np.ones((2, 3, 4, 5, 6)))
    with pytest.raises(DataError, match='expected 2 or 3 axes'):
        LoadVolumes()({'id': 'b', 'image': str(tmp_path / 'b.npz')})
