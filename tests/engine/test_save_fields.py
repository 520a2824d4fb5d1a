"""`mmreg test --save-fields`: a file per case, slices of one stack as one volume."""

import numpy as np

from mmreg.cli import main
from mmreg.io import read_displacement_image, read_volume
from tests.made.layouts import ukbb


def test_slices_become_a_volume(tmp_path, monkeypatch):
    monkeypatch.setenv('MMREG_DATA', str(tmp_path))
    ukbb(tmp_path / 'UKBB')
    options = ['test_dataloader.num_workers=0', 'test_dataloader.dataset.stack.0.size=(32,32,None)']
    arguments = [
        '--work-dir',
        str(tmp_path / 'work'),
        '--save-fields',
        str(tmp_path / 'fields'),
        '--cfg-options',
        *options,
    ]
    assert main(['test', 'configs/gradirn_ukbb.py', *arguments]) == 0
    assert [path.name for path in (tmp_path / 'fields').iterdir()] == ['D3H4L6.nii.gz']
    displacement, geometry = read_displacement_image(tmp_path / 'fields' / 'D3H4L6.nii.gz')
    image = read_volume(tmp_path / 'UKBB' / 'test' / 'D3H4L6' / 'sa_ED.nii.gz')
    assert displacement.shape == (3, 32, 32, 6) and np.allclose(geometry.spacing, image.geometry.spacing)
    assert np.abs(displacement[2]).max() < 1e-4 and np.abs(displacement[:2]).max() > 0.1
    inside = image.geometry.world_to_voxel(geometry.voxel_to_world(np.zeros((1, 3))))[0]
    np.testing.assert_allclose(inside, inside.round(), atol=1e-4)
    assert inside[2] == 0 and 8 <= inside[0] <= 24
