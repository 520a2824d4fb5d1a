"""Mosaics of Siemens: tiles back into slices, at the places where the scanner measured them."""

import struct

import numpy as np
import pytest

from mmreg.errors import DataError, DataWarning
from mmreg.io import ImageFile, read_geometry, read_volume

from .helpers import oblique, smooth_image

pydicom = pytest.importorskip('pydicom')


def siemens_header(**fields):
    """Siemens' own header: name -> (its type of value, values)."""
    found = b'SV10\4\3\2\1' + struct.pack('<II', len(fields), 77)
    for name, (kind, values) in fields.items():
        found += struct.pack('<64si4siii', name.encode(), len(values), kind.encode(), 0, len(values), 77)
        for value in values:
            text = str(value).encode() + b'\0'
            found += struct.pack('<4i', len(text), len(text), 77, len(text)) + text + b'\0' * (-len(text) % 4)
    return found


def write_mosaic(path, grid, array, *, number=0, sense=1, private=True, count_tag=False, extra=None, **changes):
    """One volume ``(i, j, k)`` of a grid whose third axis may run against the normal of its slices."""
    columns, rows, slices = array.shape
    side = int(np.ceil(np.sqrt(slices)))
    picture = np.zeros((side * rows, side * columns), '<u2')
    for k in range(slices):
        top, left = k // side * rows, k % side * columns
        picture[top : top + rows, left : left + columns] = array[:, :, k].T
    lps = np.diag([-1, -1, 1, 1]) @ grid.affine
    spacing = np.array(grid.spacing)
    direction = lps[:3, :3] / spacing
    # As the scanner does it: the corner of a picture as large as the mosaic around the middle of the first slice.
    middle = lps[:3, 3] + direction[:, 0] * spacing[0] * columns / 2 + direction[:, 1] * spacing[1] * rows / 2
    corner = middle - direction[:, 0] * spacing[0] * side * columns / 2 - direction[:, 1] * spacing[1] * side * rows / 2
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = '1.2.840.10008.5.1.4.1.1.4'
    meta.MediaStorageSOPInstanceUID = f'1.2.3.4.{number + 1}'
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    d = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b'\0' * 128)
    d.SOPClassUID, d.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    d.Modality, d.PatientID, d.PatientName = 'MR', 'p', 'p'
    d.ImageType = ['ORIGINAL', 'PRIMARY', 'M', 'ND', 'MOSAIC']
    d.StudyInstanceUID, d.SeriesInstanceUID = '1.2.3', '1.2.3.4'
    d.Rows, d.Columns, d.RepetitionTime = *picture.shape, 1500
    d.InstanceNumber, d.AcquisitionNumber = number + 1, number + 1
    d.PixelSpacing = [f'{spacing[1]:.6f}', f'{spacing[0]:.6f}']
    d.SliceThickness, d.SpacingBetweenSlices = 2, f'{spacing[2]:.6f}'
    d.ImagePositionPatient = [f'{v:.6f}' for v in corner]
    d.ImageOrientationPatient = [f'{v:.8f}' for v in direction.T[:2].ravel()]
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, 'MONOCHROME2'
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 0
    d.PixelData = picture.tobytes()
    if private:
        fields = {
            'NumberOfImagesInMosaic': ('US', [slices]),
            'SliceNormalVector': ('FD', [f'{v:.8f}' for v in direction[:, 2]]),
            **(extra or {}),
        }
        d.private_block(0x29, 'SIEMENS CSA HEADER', create=True).add_new(0x10, 'OB', siemens_header(**fields))
    if count_tag:
        d.private_block(0x19, 'SIEMENS MR HEADER', create=True).add_new(0x0A, 'US', slices)
    for key, value in changes.items():
        delattr(d, key) if value is None else setattr(d, key, value)
    path.parent.mkdir(exist_ok=True)
    d.save_as(path, enforce_file_format=True)
    return path


def volume_of(flips=(), seed=0, shape=(8, 6, 7)):
    grid = oblique(shape, flips=flips)
    return grid, np.trunc(smooth_image(grid, seed).array * 4000).astype(np.uint16)


@pytest.mark.parametrize('slices', [1, 2, 4, 7, 9])
@pytest.mark.parametrize('flips', [(), (2,)])
def test_slices_lie_where_they_were_measured(flips, slices, tmp_path):
    grid, array = volume_of(flips, shape=(8, 6, slices))
    path = write_mosaic(tmp_path / 's' / 'a.dcm', grid, array)
    for source in (path, tmp_path / 's'):
        found = read_volume(source)
        assert found.geometry.same_grid(grid, tol=1e-3)
        np.testing.assert_array_equal(found.array, array)
        assert read_geometry(source) == found.geometry


def test_a_series_of_mosaics_is_a_series_of_volumes(tmp_path):
    volumes = [volume_of(seed=n) for n in range(3)]
    for number, (grid, array) in enumerate(volumes):
        write_mosaic(tmp_path / 's' / f'{(number * 2) % 3}.dcm', grid, array, number=number)
    with pytest.raises(DataError, match=r'4-D image of size \(8, 6, 7, 3\).*--frame N, from 1 to 3'):
        read_volume(tmp_path / 's')
    for number, (grid, array) in enumerate(volumes):
        found = ImageFile(tmp_path / 's', frame=number + 1).read()
        assert found.geometry.same_grid(grid, tol=1e-3)
        np.testing.assert_array_equal(found.array, array)


def test_what_newer_files_say(tmp_path):
    grid, array = volume_of()
    path = write_mosaic(tmp_path / 'a.dcm', grid, array, private=False, count_tag=True)
    with pytest.warns(DataWarning, match='direction its slices go'):
        found = read_volume(path)
    assert found.geometry.same_grid(grid, tol=1e-3)
    np.testing.assert_array_equal(found.array, array)


def test_what_is_told_in_words(tmp_path):
    grid, array = volume_of()
    path = write_mosaic(tmp_path / 'a.dcm', grid, array, SpacingBetweenSlices=None)
    with pytest.warns(DataWarning, match='thickness was taken'):
        assert read_volume(path).geometry.spacing[2] == 2
    path = write_mosaic(tmp_path / 's' / 'b.dcm', grid, array, extra={'ProtocolSliceNumber': ('IS', [6])})
    with pytest.warns(DataWarning, match='backwards'):
        read_volume(path)


def test_volumes_of_different_grids(tmp_path):
    grid, array = volume_of()
    write_mosaic(tmp_path / 's' / 'a.dcm', grid, array)
    write_mosaic(tmp_path / 's' / 'b.dcm', grid, array, number=1, SpacingBetweenSlices=3.5)
    with pytest.raises(DataError, match='different grids'):
        read_volume(tmp_path / 's', frame=1)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(private=False), 'does not say how many slices'),
        (dict(extra={'NumberOfImagesInMosaic': ('US', [17])}), '5 x 5 tiles'),
        (dict(extra={'NumberOfImagesInMosaic': ('US', ['x'])}), 'does not say how many slices'),
        (dict(extra={'NumberOfImagesInMosaic': ('US', [10**12])}), 'does not say how many slices'),
        (dict(extra={'SliceNormalVector': ('FD', [1, 0, 0])}), 'normal of their plane'),
        (dict(ImagePositionPatient=None), 'ImagePositionPatient'),
        (dict(SpacingBetweenSlices=None, SliceThickness=None), 'SpacingBetweenSlices'),
    ],
)
def test_what_cannot_be_unpacked(options, words, tmp_path):
    grid, array = volume_of()
    with pytest.raises(DataError, match=words):
        read_volume(write_mosaic(tmp_path / 'a.dcm', grid, array, **options))


def test_damaged_headers_are_no_crash(tmp_path):
    grid, array = volume_of()
    content = write_mosaic(tmp_path / 'a.dcm', grid, array).read_bytes()
    start = content.index(b'SV10')
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for at in rng.integers(start, start + 400, 3):
            damaged[at] = rng.integers(256)
        (tmp_path / 'b.dcm').write_bytes(damaged)
        try:
            read_volume(tmp_path / 'b.dcm')
        except (DataError, DataWarning) as error:
            assert '\n' not in str(error)
