"""IXI on a small folder of its layout."""

import pickle

import numpy as np
import pytest

from mmreg.datasets.ixi import FREESURFER, IXI_LABELS, IXIDataset
from mmreg.errors import ConfigError, DataError

from .helpers import image_array, label_array

VALUES = (0, 2, 41, 63, 255)


def dump(path, *arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(arrays))


@pytest.fixture
def root(tmp_path):
    dump(tmp_path / 'atlas.pkl', image_array(0), label_array(0, values=VALUES))
    for folder, numbers in (('Train', (2, 10, 1)), ('Val', (20,)), ('Test', (30, 31))):
        for number in numbers:
            dump(
                tmp_path / folder / f'subject_{number}.pkl',
                image_array(number),
                label_array(number, values=(*VALUES, 99)),
            )
    return tmp_path


def test_the_atlas_is_moving_and_every_subject_fixed_once(root):
    dataset = IXIDataset(str(root))
    assert [sample['data_samples'].case_id for sample in dataset] == ['subject_1', 'subject_2', 'subject_10']
    inputs = dataset[2]['inputs']
    assert (inputs['moving'][0].numpy() == image_array(0)).all()
    assert (inputs['fixed'][0].numpy() == image_array(10)).all()
    assert set(inputs) == {'fixed', 'moving'}, 'labels are not read in training'
    assert 'fixed_labels' in IXIDataset(str(root), with_labels=True)[0]['inputs']


def test_labels_get_the_published_numbers(root):
    dataset = IXIDataset(str(root), split='test')
    assert len(dataset) == 2
    inputs = dataset[1]['inputs']
    stored = label_array(31, values=(*VALUES, 99))
    for old in VALUES[1:]:
        assert ((inputs['fixed_labels'][0].numpy() == FREESURFER.index(old) + 1) == (stored == old)).all()
    assert (inputs['fixed_labels'][0].numpy()[stored == 99] == 0).all()
    assert set(np.unique(inputs['moving_labels'])) == {0, 1, 21, 36, 45}


def test_the_scored_structures_are_the_same_on_both_sides():
    """30 structures; each left one with its right counterpart, by FreeSurfer's numbers."""
    values = {FREESURFER[number - 1] for number in IXI_LABELS}
    left = {2: 41, 3: 42, 4: 43, 7: 46, 8: 47, 10: 49, 11: 50, 12: 51, 13: 52, 17: 53, 18: 54, 28: 60, 31: 63}
    assert len(IXI_LABELS) == 30
    assert values == {*left, *left.values(), 14, 15, 16, 24}


def test_problems_are_told(root):
    with pytest.raises(ConfigError, match="split='train'"):
        IXIDataset(str(root), split='train')
    (root / 'atlas.pkl').unlink()
    with pytest.raises(DataError, match=r'atlas\.pkl'):
        IXIDataset(str(root))
    with pytest.raises(DataError, match='no pickles found'):
        IXIDataset(str(root / 'elsewhere'))


def test_a_pickle_that_would_run_something_is_refused(root):
    (root / 'Val' / 'subject_20.pkl').write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(DataError, match='os.system'):
        IXIDataset(str(root), split='validation')[0]
