"""DICOM with several volumes: many frames in one file, classic series with time points, mosaics; choice and nesting."""

import os

import numpy as np
import pytest

from mmreg.errors import DataError, DataWarning
from mmreg.io import ImageFile, list_dicom_series, read_geometry, read_volume

from .test_dicom import UID, write_series

pydicom = pytest.importorskip('pydicom')


def save(dataset, path):
    if pydicom.__version__.startswith('2.'):
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
        dataset.save_as(path, write_like_original=False)
    else:
        dataset.save_as(path, enforce_file_format=True)


def item(**values):
    dataset = pydicom.dataset.Dataset()
    for key, value in values.items():
        setattr(dataset, key, value)
    return dataset


def sequence(**values):
    return pydicom.sequence.Sequence([item(**values)])


def enhanced(path, frames, size=(6, 5), spacing=(2.0, 3.0), with_places=True):
    """Frames are (position along z, time, value); rows x columns ``size``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = '1.2.840.10008.5.1.4.1.1.4.1'
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    d = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b'\0' * 128)
    d.SOPClassUID, d.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    d.Modality, d.PatientID, d.PatientName, d.ImageType = 'MR', 'p', 'p', ['ORIGINAL', 'PRIMARY', 'M', 'NONE']
    d.StudyInstanceUID, d.SeriesInstanceUID = pydicom.uid.generate_uid(), pydicom.uid.generate_uid()
    d.Rows, d.Columns, d.NumberOfFrames, d.RepetitionTime = *size, len(frames), 2500
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, 'MONOCHROME2'
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 0
    shared = item(
        PixelMeasuresSequence=sequence(PixelSpacing=list(spacing), SliceThickness=4),
        PlaneOrientationSequence=sequence(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
    )
    if with_places:
        d.SharedFunctionalGroupsSequence = pydicom.sequence.Sequence([shared])
        d.PerFrameFunctionalGroupsSequence = pydicom.sequence.Sequence(
            [
                item(
                    FrameContentSequence=sequence(TemporalPositionIndex=time),
                    PlanePositionSequence=sequence(ImagePositionPatient=[-10, 20, place]),
                )
                for place, time, _ in frames
            ]
        )
    d.PixelData = np.stack([np.full(size, value) + np.arange(size[1]) for *_, value in frames]).astype('<u2').tobytes()
    save(d, path)
    return path


def stack(times, places=(0, 4, 8)):
    return [(z, t, 1000 * t + 100 * k) for t in times for k, z in enumerate(places)]


@pytest.mark.parametrize('by', ['time', 'place', 'mixed'])
def test_frames_with_times(tmp_path, by):
    frames = stack((1, 2))
    if by == 'place':
        frames.sort()
    elif by == 'mixed':
        frames = frames[::-1]
    enhanced(tmp_path / 'study' / 'one.dcm', frames)
    with pytest.raises(DataError, match=r'4-D image of size \(5, 6, 3, 2\).*--frame N, from 1 to 2'):
        read_volume(tmp_path / 'study')
    for source in (tmp_path / 'study', tmp_path / 'study' / 'one.dcm'):
        for time in (1, 2):
            found = read_volume(source, frame=time)
            assert found.geometry.shape == (5, 6, 3) and found.geometry.spacing == pytest.approx((3, 2, 4))
            assert found.geometry.origin == (10, -20, 0)
            np.testing.assert_array_equal(found.array[0, 0], 1000 * time + 100 * np.arange(3))
            np.testing.assert_array_equal(found.array[:, 0, 0], 1000 * time + np.arange(5))
        assert read_geometry(source, frames=True) == found.geometry


def test_frames_of_one_volume_are_put_in_order(tmp_path):
    enhanced(tmp_path / 'one.dcm', [(8, 1, 300), (0, 1, 100), (4, 1, 200)])
    found = read_volume(tmp_path / 'one.dcm')
    np.testing.assert_array_equal(found.array[0, 0], [100, 200, 300])


def test_uneven_frames(tmp_path):
    with pytest.raises(DataError, match='slice gaps from 4 to 8 mm'):
        read_volume(enhanced(tmp_path / 'a.dcm', stack((1,), (0, 4, 12))))
    with pytest.raises(DataError, match='1 to 2 frames at one place'):
        read_volume(enhanced(tmp_path / 'b.dcm', stack((1, 2))[:-1]))


def test_frames_without_places(tmp_path):
    path = enhanced(tmp_path / 'a.dcm', stack((1,)), with_places=False)
    with pytest.warns(DataWarning, match='3 frames without places'):
        assert read_volume(path).geometry.shape == (5, 6, 3)


def change(folder, number, **fields):
    """Copies of the slices of a series with other fields, under names of their own."""
    for path in sorted(folder.glob('*.dcm')):
        header = pydicom.dcmread(path)
        if header.InstanceNumber < 100:
            for key, value in fields.items():
                setattr(header, key, value)
            header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
            header.InstanceNumber = int(header.InstanceNumber) + 100 * number
            header.PixelData = (header.pixel_array + number).astype(header.pixel_array.dtype).tobytes()
            header.save_as(folder / f't{number}_{path.name}')


def test_a_classic_series_with_time_points(tmp_path):
    array, grid = write_series(tmp_path / 's')
    change(tmp_path / 's', 1, TemporalPositionIdentifier=2)
    with pytest.raises(DataError, match=r'4-D image of size \(18, 22, 9, 2\)'):
        read_volume(tmp_path / 's')
    first, second = (read_volume(tmp_path / 's', frame=n) for n in (1, 2))
    assert first.geometry.same_grid(grid, tol=1e-3) and second.geometry == first.geometry
    np.testing.assert_array_equal(first.array, array)
    np.testing.assert_array_equal(second.array, array + 1)
    next((tmp_path / 's').glob('t1_*')).unlink()
    with pytest.raises(DataError, match='1 to 2 files at one place'):
        read_volume(tmp_path / 's')


def test_a_mosaic_is_refused_by_name(tmp_path):
    write_series(tmp_path / 's')
    for path in list((tmp_path / 's').glob('*.dcm'))[1:]:
        path.unlink()
    change(tmp_path / 's', 1, ImageType=['ORIGINAL', 'PRIMARY', 'M', 'MOSAIC'])
    for path in (tmp_path / 's').glob('7_*.dcm'):
        path.unlink()
    with pytest.raises(DataError, match='mosaic of Siemens'):
        read_volume(tmp_path / 's')


def test_a_series_by_number_by_one_of_its_files_and_in_a_folder_below(tmp_path):
    study = tmp_path / 'study'
    (study / 'a').mkdir(parents=True)
    array, grid = write_series(study / 'a' / 't1')
    write_series(study / 'b', uid=UID[:-1] + '8', description='T2 axial', skip=(8,))
    assert len(list_dicom_series(study)) == 2
    with pytest.raises(DataError, match=r"found 2 DICOM series, .*--series.* 1: .*'T1 axial', 9 files.*2: "):
        read_volume(study)
    for name in ('1', UID):
        np.testing.assert_array_equal(read_volume(study, series=name).array, array)
    np.testing.assert_array_equal(ImageFile(study, series='1').read().array, array)
    assert read_volume(study, series='2').geometry.shape == (18, 22, 8)
    with pytest.raises(DataError, match="no series '3', expected one of: 1: "):
        read_volume(study, series='3')
    one = next((study / 'a' / 't1').glob('*.dcm'))
    np.testing.assert_array_equal(read_volume(one).array, array)
    assert read_geometry(one).same_grid(grid, tol=1e-3)


def test_a_pipe_among_the_slices(tmp_path):
    write_series(tmp_path / 's')
    os.mkfifo(tmp_path / 's' / 'pipe.dcm')
    with pytest.raises(DataError, match='no regular file'):
        read_volume(tmp_path / 's')


def numbered(folder, number):
    """The scanner's number in the headers of a series that was written."""
    for path in folder.glob('*'):
        header = pydicom.dcmread(path)
        header.SeriesNumber = number
        header.save_as(path)


def test_a_series_has_the_number_that_the_scanner_gave_it(tmp_path):
    """What a viewer shows as series 5 is ``--series 5``; where two have one number, the list counts."""
    study = tmp_path / 'study'
    study.mkdir()
    first, _ = write_series(study / 'a')
    write_series(study / 'b', uid=UID[:-1] + '8', description='T2 axial', skip=(8,))
    numbered(study / 'a', 12), numbered(study / 'b', 5)
    with pytest.raises(DataError, match=r"5: \S+8 \('T2 axial', 8 files\); 12: .*'T1 axial', 9 files"):
        read_volume(study)
    np.testing.assert_array_equal(read_volume(study, series='12').array, first)
    assert read_volume(study, series='5').geometry.shape == (18, 22, 8)
    with pytest.raises(DataError, match="no series '1', expected one of: 5: "):
        read_volume(study, series='1')
    numbered(study / 'b', 12)
    with pytest.raises(DataError, match=r'found 2 DICOM series, .* 1: .*; 2: '):
        read_volume(study)
