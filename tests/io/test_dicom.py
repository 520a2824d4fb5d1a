import numpy as np
import pytest
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io import list_dicom_series, read_geometry, read_volume

from .helpers import oblique, smooth_image

UID = '1.2.826.0.1.3680043.2.1125.7'


def write_series(folder, uid=UID, flips=(), skip=(), tilt=0.0, description='T1 axial', degrees=20.0):
    """Write a volume slice by slice, as a scanner would; return what should be read."""
    folder.mkdir(exist_ok=True)
    grid = oblique((18, 22, 9), degrees=degrees, flips=flips)
    volume = smooth_image(grid)
    image = sitk.Cast(volume.to_sitk() * 1000, sitk.sitkInt16)
    direction = np.reshape(image.GetDirection(), (3, 3))
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k in range(image.GetDepth()):
        if k in skip:
            continue
        part = image[:, :, k]
        position = np.array(image.TransformIndexToPhysicalPoint((0, 0, k))) + tilt * k * direction[:, 0]
        tags = {
            '0008|0060': 'MR',
            '0008|103e': description,
            '0020|000d': UID,
            '0020|000e': uid,
            '0008|0018': f'{uid}.{k + 1}',
            '0020|0013': str(k),
            '0020|0032': '\\'.join(f'{v:.6f}' for v in position),
            '0020|0037': '\\'.join(f'{v:.8f}' for v in direction.T[:2].ravel()),
        }
        for key, value in tags.items():
            part.SetMetaData(key, value)
        # File names that sort in another order than the slices.
        writer.SetFileName(str(folder / f'{uid[-1]}_{(k * 5) % 9}.dcm'))
        writer.Execute(part)
    return np.trunc(volume.array * 1000), grid


def test_series(tmp_path):
    array, grid = write_series(tmp_path / 's')
    volume = read_volume(tmp_path / 's')
    assert volume.geometry.same_grid(grid, tol=1e-3)
    np.testing.assert_array_equal(volume.array, array)
    assert read_geometry(tmp_path / 's') == volume.geometry


def test_left_handed_series_keeps_the_world(tmp_path):
    """DICOM sorts slices along its own normal: a flipped axis comes back flipped, voxels stay where they were."""
    array, grid = write_series(tmp_path / 's', flips=(2,))
    volume = read_volume(tmp_path / 's')
    index = np.array([[4, 9, 3], [10, 2, 7]])
    there = np.rint(volume.geometry.world_to_voxel(grid.voxel_to_world(index))).astype(int)
    np.testing.assert_array_equal(volume.array[tuple(there.T)], array[tuple(index.T)])


def test_foreign_files_beside_are_ignored(tmp_path, capfd):
    write_series(tmp_path / 's')
    (tmp_path / 's' / 'README.txt').write_text('not a slice')
    assert read_volume(tmp_path / 's').geometry.shape == (18, 22, 9)
    assert capfd.readouterr() == ('', '')


def test_several_series_are_listed(tmp_path):
    write_series(tmp_path / 's')
    write_series(tmp_path / 's', uid=UID[:-1] + '8', description='T2 axial')
    found = list_dicom_series(tmp_path / 's')
    assert {uid: len(files) for uid, files in found.items()} == {UID: 9, UID[:-1] + '8': 9}
    with pytest.raises(DataError) as caught:
        read_volume(tmp_path / 's')
    message = str(caught.value)
    assert message.startswith(f'{tmp_path / "s"}: found 2 DICOM series, expected one') and '\n' not in message
    assert UID in message and "'T1 axial', 9 files" in message and "'T2 axial', 9 files" in message
    assert read_volume(tmp_path / 's', series=UID).geometry.shape == (18, 22, 9)
    with pytest.raises(DataError, match="no series '1.2.3'"):
        read_volume(tmp_path / 's', series='1.2.3')


def test_missing_slice(tmp_path, capfd):
    write_series(tmp_path / 's', skip=(4,))
    with pytest.raises(DataError, match=r'slice gaps from 2.5 to 5 mm .* \(5 mm behind slice 4 of 8\)'):
        read_volume(tmp_path / 's')
    assert capfd.readouterr() == ('', '')


def test_tilted_gantry(tmp_path):
    write_series(tmp_path / 's', tilt=0.5)
    with pytest.raises(DataError, match='sideways by 0.5 mm'):
        read_volume(tmp_path / 's')


def test_folder_without_dicom(tmp_path, capfd):
    (tmp_path / 'notes.txt').write_text('nothing here')
    with pytest.raises(DataError, match='without a DICOM series'):
        read_volume(tmp_path)
    assert capfd.readouterr() == ('', '')
