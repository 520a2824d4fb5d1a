"""What users of published weights stumbled over: ranges of intensities, targets, spellings, numbers that are none."""

import numpy as np
import pytest
import torch

from mmreg.cli import main
from mmreg.converters.files import convert_file, family_named
from mmreg.errors import CheckpointError
from mmreg.io import Geometry, Volume
from mmreg.registration.working.preparation import find_preparation, on_grid
from mmreg.utils.config import load_config
from mmreg.utils.shipped import find_config
from mmreg.zoo import store
from mmreg.zoo.published import PUBLISHED
from tests.converters.test_voxelmorph_lkunet import lku
from tests.golden.fill import image

CONFIGS = sorted({entry.config for entry in PUBLISHED})


def both_scales(cfg, ndim):
    """An image as stored in 0..1 and the same as bytes, as the network of a config sees them."""
    grid = Geometry((16, 14, 12)[:ndim], np.eye(ndim + 1))
    stored = image(1, grid.shape).astype(np.float32)
    stored = np.round(255 * (stored - stored.min()) / np.ptp(stored)).astype(np.float32) / 255
    preparation = find_preparation(cfg)
    return [on_grid(Volume(stored * scale, grid), grid, preparation) for scale in (np.float32(1), np.float32(255))]


@pytest.mark.parametrize('entry', PUBLISHED, ids=lambda entry: entry.name)
def test_an_entry_sees_bytes_as_it_sees_parts_of_one(entry):
    cfg = store.config_of(entry)
    ones, bytes_ = both_scales(cfg, len(entry.needs.size))
    assert np.abs(ones - bytes_).max() < 1e-5 and bytes_.min() >= 0 and bytes_.max() <= 1 + 1e-5


@pytest.mark.parametrize('name', CONFIGS)
def test_a_config_of_published_weights_sees_bytes_as_it_sees_parts_of_one(name):
    cfg = load_config(find_config(name))
    ones, bytes_ = both_scales(cfg, cfg.model.get('ndim', 3))
    assert np.abs(ones - bytes_).max() < 1e-5 and bytes_.max() <= 1 + 1e-5


def test_convert_does_not_overwrite_what_it_reads_or_fill_a_folder(tmp_path, capsys):
    path = tmp_path / 'theirs.pth'
    torch.save(lku(ndim=3, kernel=5), path)
    before = path.read_bytes()
    for target, words in ((path, 'the published file itself'), (tmp_path, 'is a folder')):
        assert main(['convert', 'lkunet', str(path), str(target)]) == 2
        error = capsys.readouterr().err
        assert words in error and error.count('\n') == 1
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ['theirs.pth']
    assert main(['convert', 'lkunet', str(path), str(tmp_path / 'ours.safetensors')]) == 0
    assert (tmp_path / 'ours.safetensors').read_bytes()[8:10] == b'{"'


def test_numbers_that_are_none_are_refused(tmp_path):
    weights = lku(ndim=3, kernel=5)
    weights['eninput.0.weight'] = torch.full_like(weights['eninput.0.weight'], float('nan'))
    torch.save(weights, tmp_path / 'theirs.pth')
    with pytest.raises(CheckpointError, match='not finite'):
        convert_file('lkunet', tmp_path / 'theirs.pth', tmp_path / 'ours.pth')
    assert not (tmp_path / 'ours.pth').exists()


@pytest.mark.parametrize(
    ('asked', 'found'), [('SYMNet', 'symnet'), ('lapirn-disp', 'lapirn_disp'), ('VoxelMorph Keras', 'voxelmorph_keras')]
)
def test_families_in_other_spellings(asked, found):
    assert family_named(asked).name == found
    with pytest.raises(CheckpointError, match='did you mean'):
        family_named(asked[:-1] + 'xy')


def test_entries_of_aligned_brains_ask_for_an_affine():
    for entry in PUBLISHED:
        if len(entry.needs.size) == 3:
            assert store.affine_of(entry.name) == 'auto', entry.name
