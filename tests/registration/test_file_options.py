"""Which volume, series and position of a file is meant: options, files, and what is told about them."""

import warnings

import numpy as np
import pytest

from mmreg.commands.register import build_parser
from mmreg.commands.shared.file_options import as_file, check_reading
from mmreg.datasets.pairs import read_pair_rows
from mmreg.errors import ConfigError, DataError, DataWarning
from mmreg.io import ImageFile
from mmreg.io.files import noted
from mmreg.registration.inputs.images import load_image
from mmreg.registration.results.warnings import turn_warnings

nib = pytest.importorskip('nibabel')


def parsed(*options):
    return build_parser().parse_args(['fixed.nii.gz', 'moving.nii.gz', '-o', 'out', *options])


@pytest.mark.parametrize(
    ('options', 'fixed', 'moving'),
    [
        ((), 'fixed.nii.gz', 'moving.nii.gz'),
        (('--frame', '3'), ImageFile('fixed.nii.gz', frame=3), ImageFile('moving.nii.gz', frame=3)),
        (('--frame', '1', '12'), ImageFile('fixed.nii.gz', frame=1), ImageFile('moving.nii.gz', frame=12)),
        (('--moving-frame', '2'), 'fixed.nii.gz', ImageFile('moving.nii.gz', frame=2)),
        (('--series', '2', '--fixed-series', '1.2'),
         ImageFile('fixed.nii.gz', series='1.2'), ImageFile('moving.nii.gz', series='2')),
        (('--position', 'qform'),
         ImageFile('fixed.nii.gz', position='qform'), ImageFile('moving.nii.gz', position='qform')),
        (('--channels',), ImageFile('fixed.nii.gz', channels=True), ImageFile('moving.nii.gz', channels=True)),
    ],
)  # fmt: skip
def test_options(options, fixed, moving):
    args = parsed(*options)
    check_reading(args)
    assert as_file(args, 'fixed', args.fixed) == fixed and as_file(args, 'moving', args.moving) == moving
    assert as_file(args, 'moving_landmarks', 'points.csv') == 'points.csv'


@pytest.mark.parametrize(
    'options', [('--frame', '0'), ('--frame', '1', '2', '3'), ('--channels', '--fixed-frame', '1')]
)
def test_options_that_cannot_be(options):
    with pytest.raises(ConfigError, match='--'):
        check_reading(parsed(*options))


def test_one_volume_of_a_series(tmp_path):
    array = np.random.default_rng(0).random((6, 7, 8, 4)).astype('f4')
    path = tmp_path / 'bold.nii.gz'
    nib.save(nib.Nifti1Image(array, np.eye(4)), path)
    for channels in (1, None):
        with pytest.raises(DataError, match='4-D image of 4 frames .*--frame N, from 1 to 4'):
            load_image(path, 'fixed', channels)
    one = load_image(ImageFile(path, frame=2), 'fixed', 1)
    np.testing.assert_array_equal(one.volume.array, array[..., 1])
    assert one.name == f'{path} (frame 2)'
    assert load_image(ImageFile(path, channels=True), 'fixed', None).volume.channels == 4
    with pytest.raises(DataError, match='found 4 volumes'):
        load_image(nib.load(path), 'fixed', None)
    assert load_image(nib.load(path).slicer[..., 1], 'fixed', 1).volume.geometry == one.volume.geometry


def test_two_numbers_per_voxel_are_channels_only_when_asked_for(tmp_path):
    """ITK writes complex numbers into a MetaImage as it writes two channels."""
    import SimpleITK as sitk

    path, numbers = tmp_path / 'image.mha', np.random.default_rng(0).random((6, 7, 8, 2)).astype('f4')
    sitk.WriteImage(sitk.GetImageFromArray(numbers, isVector=True), str(path))
    with pytest.raises(DataError, match='two real numbers per voxel.*--channels'):
        load_image(path, 'fixed', None)
    assert load_image(ImageFile(path, channels=True), 'fixed', None).volume.channels == 2
    assert load_image(path, 'fixed', 2).volume.channels == 2


@pytest.mark.parametrize(
    'text', ['fixed;moving\na.nii;b.nii\n', 'fixed\tmoving\na.nii\tb.nii\n', 'fixed, moving\na.nii, b.nii\n']
)
def test_lists_with_other_separators(tmp_path, text):
    (tmp_path / 'pairs.csv').write_text(text)
    assert read_pair_rows(tmp_path / 'pairs.csv') == [{'fixed': 'a.nii', 'moving': 'b.nii'}]
    (tmp_path / 'pairs.csv').write_text(text + 'a;b;c;d\n'.replace(';', text[5]))
    with pytest.raises(DataError, match='cells in row 3, expected 2'):
        read_pair_rows(tmp_path / 'pairs.csv')


def test_large_rotations_are_told():
    turn = np.diag([-1.0, -1.0, 1.0, 1.0])
    assert 'turned the moving image by 180 degrees' in turn_warnings(turn)[0]
    assert turn_warnings(np.eye(4)) == turn_warnings(None) == [] and turn_warnings(1.2 * np.eye(3)) == []


def test_what_readers_say_is_collected_once():
    with noted() as told:
        for _ in range(2):
            warnings.warn('a.nii: odd', DataWarning, stacklevel=1)
    assert told == ['a.nii: odd']
