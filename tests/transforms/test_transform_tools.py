"""`mmreg apply`: against SimpleITK alone, files of others, labels, landmarks, chains."""

import signal
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import map_coordinates

import mmreg
import mmreg.transforms.outputs
from mmreg.errors import ConfigError, DataError
from mmreg.io import (
    Landmarks,
    Volume,
    affine_transform,
    compose,
    displacement_transform,
    read_landmarks,
    read_volume,
    resample_to,
    write_itk_transform,
    write_landmarks_voxel,
    write_landmarks_world,
    write_transform,
    write_volume,
)
from tests.io.helpers import grid_points, smooth_image

from .transform_files import grids, inside, run, world_affine, write_ants_mat, write_case

ALONE = """
import sys
import SimpleITK as sitk
for folder in sys.argv[1:]:
    fixed, moving = (sitk.ReadImage(f'{folder}/{name}') for name in ('fixed.nii.gz', 'moving.nrrd'))
    field = sitk.DisplacementFieldTransform(sitk.ReadImage(f'{folder}/warp.nii.gz', sitk.sitkVectorFloat64))
    affine = sitk.ReadTransform(f'{folder}/affine.mat')
    chain = sitk.CompositeTransform([affine, field])  # the last one is applied first
    sitk.WriteImage(sitk.Resample(moving, fixed, chain, sitk.sitkLinear, 0.0), f'{folder}/alone.nrrd')
    sitk.WriteImage(sitk.Resample(moving, fixed, chain, sitk.sitkBSpline, 0.0), f'{folder}/alone_spline.nrrd')
assert not any(name.startswith(('mmreg', 'torch')) for name in sys.modules)
"""


@pytest.fixture(scope='module')
def cases(tmp_path_factory):
    """A 2-D and a 3-D case, with the results of SimpleITK in a process of its own."""
    folders = {ndim: tmp_path_factory.mktemp(f'case{ndim}') for ndim in (2, 3)}
    fields = {ndim: write_case(folder, ndim) for ndim, folder in folders.items()}
    subprocess.run([sys.executable, '-c', ALONE, *map(str, folders.values())], check=True, cwd=folders[3])
    return {ndim: (folders[ndim], *fields[ndim]) for ndim in (2, 3)}


def within(at, geometry):
    """Which continuous voxel indices lie between the outermost voxels of a grid."""
    return ((at >= 0) & (at <= np.array(geometry.shape) - 1)).all(axis=1)


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('chain', ['ants', 'issue', 'composite'])
def test_command_equals_simpleitk_alone(cases, tmp_path, ndim, chain):
    folder, displacement, affine = cases[ndim]
    fixed, _ = grids(ndim)
    warp, matrix, moving = folder / 'warp.nii.gz', folder / 'affine.mat', folder / 'moving.nrrd'
    if chain == 'ants':
        arguments = ['-t', warp, '-t', matrix, moving, '-r', folder / 'fixed.nii.gz']
    elif chain == 'issue':
        arguments = [warp, moving, '-t', matrix]
    else:
        write_itk_transform(tmp_path / 't.h5', displacement, fixed, affine)
        arguments = [tmp_path / 't.h5', moving]
    assert run('apply', *arguments, '-o', tmp_path / 'out') == 0
    assert run('apply', *arguments, '-o', tmp_path / 'out' / 'spline', '--interpolation', 'spline') == 0
    for ours, alone in (('moving_warped.nrrd', 'alone.nrrd'), ('spline/moving_warped.nrrd', 'alone_spline.nrrd')):
        result, expected = read_volume(tmp_path / 'out' / ours), read_volume(folder / alone)
        assert result.geometry.same_grid(fixed)
        difference = np.abs(result.array - expected.array)[inside(fixed.shape)]
        assert difference.max() < 1e-3 * np.ptp(expected.array) and np.ptp(expected.array) > 0.5


def test_images_are_sampled_once(cases):
    folder, displacement, affine = cases[3]
    fixed, moving = grids()
    image = Volume(
        np.random.default_rng(0).normal(size=moving.shape).astype(np.float32), moving
    )  # no smoothness at all
    ours = mmreg.apply_transform([folder / 'warp.nii.gz', affine], image).array
    # by hand: where the displacement and then the affine bring each voxel, and one interpolation there
    voxels = grid_points(fixed.shape) + displacement.reshape(3, -1).T
    world = fixed.voxel_to_world(voxels) @ affine[:3, :3].T + affine[:3, 3]
    at = moving.world_to_voxel(world)
    by_hand = map_coordinates(image.array, at.T, order=1).reshape(fixed.shape)
    deep = within(at, moving).reshape(fixed.shape)
    assert np.abs(ours - by_hand)[deep].max() < 1e-3 and deep.mean() > 0.3
    between = resample_to(image, fixed, transform=affine_transform(affine))
    twice = resample_to(between, fixed, transform=displacement_transform(displacement, fixed)).array
    assert np.abs(twice - by_hand)[deep].mean() > 0.2


def test_every_form_of_a_transform_in_python(cases, tmp_path):
    folder, displacement, affine = cases[3]
    fixed, moving = grids()
    image = read_volume(folder / 'moving.nrrd')
    expected = mmreg.apply_transform([folder / 'warp.nii.gz', folder / 'affine.mat'], image).array
    np.savetxt(tmp_path / 'matrix.txt', affine)
    whole = displacement_transform(displacement, fixed, affine)
    for form in (
        whole,
        [str(folder / 'warp.nii.gz'), affine],
        [displacement_transform(displacement, fixed), tmp_path / 'matrix.txt'],
        whole.itk,
        [folder / 'warp.nii.gz', f'[{folder / "affine.mat"}, 0]'],
    ):
        result = mmreg.apply_transform(form, image, fixed)
        assert np.abs(result.array - expected).max() < 1e-4 and result.geometry == fixed
    result = mmreg.apply_transform(whole, (image.array, moving.affine), image.to_sitk())
    assert result.geometry.same_grid(moving)


def itk_text(name, parameters, fixed):
    parameters, fixed = (' '.join(map(repr, map(float, values))) for values in (parameters, fixed))
    lines = '#Insight Transform File V1.0', '#Transform 0', f'Transform: {name}', f'Parameters: {parameters}'
    return '\n'.join([*lines, f'FixedParameters: {fixed}', ''])


@pytest.mark.parametrize('ending', ['txt', 'tfm', 'mat'])
@pytest.mark.parametrize('kind', ['AffineTransform_double_3_3', 'MatrixOffsetTransformBase_double_3_3'])
def test_affine_files_written_by_hand(tmp_path, kind, ending):
    matrix, translation = world_affine()[:3, :3], np.array([2.0, -3.0, 4.0])
    centre, path = np.array([10.0, 20.0, -5.0]), tmp_path / f'a.{ending}'
    if ending == 'mat':
        write_ants_mat(path, matrix, translation, centre, kind)
    else:
        path.write_text(itk_text(kind, [*matrix.ravel(), *translation], centre))
    lps = np.array([-1.0, -1.0, 1.0])
    points = np.random.default_rng(0).normal(size=(6, 3)) * 20
    expected = ((points * lps - centre) @ matrix.T + centre + translation) * lps
    moved, _ = mmreg.transform_landmarks(path, points, 'fixed_to_moving')
    np.testing.assert_allclose(moved.points, expected, atol=1e-6)
    back, error = mmreg.transform_landmarks(path, moved, 'moving_to_fixed')
    np.testing.assert_allclose(back.points, points, atol=1e-6)
    assert error.max() < 1e-6


@pytest.mark.parametrize('intent', [1007, 1006])
def test_five_dimensional_nifti_written_by_hand(tmp_path, intent):
    nibabel = pytest.importorskip('nibabel')
    fixed, _ = grids()
    millimetres = np.random.default_rng(0).normal(size=(*fixed.shape, 1, 3)).astype(np.float32)
    file = nibabel.Nifti1Image(millimetres, fixed.affine)
    file.header.set_intent(intent)
    nibabel.save(file, tmp_path / 'field.nii.gz')
    voxel = np.array([[7, 9, 5]])
    moved, _ = mmreg.transform_landmarks(tmp_path / 'field.nii.gz', fixed.voxel_to_world(voxel), 'fixed_to_moving')
    sign = np.array([-1, -1, 1]) if intent == 1007 else np.ones(3)  # LPS, or RAS
    expected = fixed.voxel_to_world(voxel) + millimetres[7, 9, 5, 0] * sign
    np.testing.assert_allclose(moved.points, expected, atol=1e-4)


def test_labels_keep_their_values(cases, tmp_path, capsys):
    folder, displacement, affine = cases[3]
    labels = read_volume(folder / 'labels.nii.gz', 'labels')
    write_volume(tmp_path / 'as_float.nii.gz', Volume(labels.array.astype(np.float32), labels.geometry))
    chain = ['-t', folder / 'warp.nii.gz', '-t', folder / 'affine.mat', '-o', tmp_path / 'out']
    assert run('apply', folder / 'labels.nii.gz', tmp_path / 'as_float.nii.gz', *chain) == 0
    assert 'label map with 5 labels, nearest' in capsys.readouterr().out
    warped = read_volume(tmp_path / 'out' / 'labels_warped.nii.gz', 'labels').array
    assert {2, 3, 17, 2035} <= set(np.unique(warped)) <= {0, 2, 3, 17, 41, 2035}
    assert np.array_equal(read_volume(tmp_path / 'out' / 'as_float_warped.nii.gz', 'labels').array, warped)
    fixed, moving = grids()
    world = displacement_transform(displacement, fixed, affine).transform_points(
        fixed.voxel_to_world(grid_points(fixed.shape))
    )
    at = moving.world_to_voxel(world)
    by_hand = map_coordinates(labels.array, at.T, order=0).reshape(fixed.shape)
    deep = within(at, moving).reshape(fixed.shape)
    assert (warped == by_hand)[deep].mean() > 0.999 and deep.mean() > 0.3  # all but ties
    # the label with the largest linear weight
    assert run('apply', folder / 'labels.nii.gz', *chain, '--label-interpolation', 'label') == 0
    names = np.unique(labels.array)
    weights = [map_coordinates((labels.array == n).astype(float), at.T, order=1) for n in names]
    heaviest = names[np.argmax(weights, axis=0)].reshape(fixed.shape)
    smooth = read_volume(tmp_path / 'out' / 'labels_warped.nii.gz', 'labels').array
    assert (smooth == heaviest)[deep].mean() > 0.999
    assert not np.array_equal(smooth, warped)


def test_labels_are_told_from_intensities():
    from mmreg.transforms.moving import looks_like_labels

    image = smooth_image(grids()[1], 5).array
    noise = np.random.default_rng(0).normal(size=image.shape)
    assert not looks_like_labels((255 * image).astype(np.uint8), 3)
    assert not looks_like_labels(np.clip(40 * image + noise, 0, None).astype(np.uint8), 3)
    assert not looks_like_labels((2000 * image - 1000).astype(np.int16), 3)
    assert not looks_like_labels(image, 3)
    assert not looks_like_labels(np.zeros((9, 9, 9), np.uint8), 3)
    assert looks_like_labels(image > 0.5, 3) and looks_like_labels((8 * image).astype(np.int16), 3)
    with pytest.raises(ConfigError, match='for a label map, expected one of nearest, label'):
        mmreg.apply_transform(np.eye(4), ((8 * image).astype(np.int16), np.eye(4)), mode='linear', reference=grids()[0])
    with pytest.raises(DataError, match='expected whole numbers'):
        mmreg.apply_transform(np.eye(4), (image, np.eye(4)), grids()[0], kind='labels')


def test_landmarks_both_ways(cases, tmp_path):
    folder, displacement, affine = cases[3]
    fixed, moving = grids()
    voxels = np.random.default_rng(0).uniform(5, 12, (20, 3))
    points, names = fixed.voxel_to_world(voxels), [f'p{n}' for n in range(20)]
    write_landmarks_world(tmp_path / 'a.csv', points, names=names)
    write_landmarks_voxel(tmp_path / 'b.csv', voxels)
    chain = ['-t', folder / 'warp.nii.gz', '-t', folder / 'affine.mat']
    out = tmp_path / 'out'
    given = ['--fixed-landmarks', tmp_path / 'a.csv', '--fixed-landmarks', tmp_path / 'b.csv']
    grid_options = ['-r', folder / 'fixed.nii.gz', '--moving', folder / 'moving.nrrd']
    assert run('apply', *chain, *given, *grid_options, '-o', out) == 0
    there = read_landmarks(out / 'a_in_moving.csv')
    expected = displacement_transform(displacement, fixed, affine).transform_points(points)
    np.testing.assert_allclose(there.points, expected, atol=1e-4)
    np.testing.assert_allclose(read_landmarks(out / 'b_in_moving.csv').points, expected, atol=1e-4)
    in_voxels = read_landmarks(out / 'a_in_moving_voxel.csv')
    assert there.names == tuple(names) and in_voxels.frame == 'voxel'
    np.testing.assert_allclose(moving.voxel_to_world(in_voxels.points), expected, atol=1e-4)
    # and back, from millimetres and from voxels
    given = ['--moving-landmarks', out / 'a_in_moving.csv', '--moving-landmarks', out / 'b_in_moving_voxel.csv']
    assert run('apply', *chain, *given, *grid_options, '-o', out) == 0
    for name in ('a_in_moving_in_fixed', 'b_in_moving_voxel_in_fixed'):
        assert np.linalg.norm(read_landmarks(out / f'{name}.csv').points - points, axis=1).mean() < 1e-3
        np.testing.assert_allclose(read_landmarks(out / f'{name}_voxel.csv').points, voxels, atol=1e-3)


def test_landmarks_without_a_partner_are_told(tmp_path, capsys):
    fixed, _ = grids()
    shift = np.zeros((3, *fixed.shape), np.float32)
    shift[0] = 6  # nothing of the grid is mapped to its first voxels
    points = fixed.voxel_to_world([[15.5, 15, 9], [2, 15, 9]])
    jump = displacement_transform(shift, fixed)
    moved, error = mmreg.transform_landmarks(jump, points, 'moving_to_fixed')
    assert error[0] < 1e-6 and error[1] > 1.0
    np.testing.assert_allclose(fixed.world_to_voxel(moved.points[0]), [9.5, 15, 9], atol=1e-4)
    write_transform(tmp_path / 'jump.h5', jump)
    write_landmarks_world(tmp_path / 'p.csv', points)
    assert run('apply', tmp_path / 'jump.h5', '--moving-landmarks', tmp_path / 'p.csv', '-o', tmp_path / 'out') == 0
    assert '1 of 2 landmarks have no exact partner' in capsys.readouterr().out
    with pytest.raises(ConfigError, match='fixed_to_moving or moving_to_fixed'):
        mmreg.transform_landmarks(np.eye(4), points, 'forward')
    with pytest.raises(DataError, match='expected the moving image'):
        mmreg.transform_landmarks(np.eye(4), Landmarks(points, 'voxel'), 'moving_to_fixed')


def test_inverse_brings_the_fixed_image_to_the_moving_grid(cases, tmp_path, capsys):
    folder, displacement, affine = cases[3]
    _, moving = grids()
    chain = ['-t', folder / 'warp.nii.gz', '-t', folder / 'affine.mat']
    again = ['-r', folder / 'moving.nrrd', '-o', tmp_path / 'out']
    assert run('apply', *chain, folder / 'moving.nrrd', '-o', tmp_path / 'out') == 0
    assert run('apply', *chain, tmp_path / 'out/moving_warped.nrrd', '--inverse', *again) == 0
    assert 'inverse computed, residual' in capsys.readouterr().out
    back = read_volume(tmp_path / 'out/moving_warped_warped.nrrd')
    assert back.geometry.same_grid(moving)
    # where the fixed grid covers the moving image, the picture is the old one
    ones = Volume(np.ones(grids()[0].shape, np.float32), grids()[0])
    covered = mmreg.apply_transform([folder / 'warp.nii.gz', affine], ones, moving, inverse=True).array > 0.999
    original = read_volume(folder / 'moving.nrrd').array
    assert covered.mean() > 0.1 and np.abs(back.array - original)[covered].mean() < 0.02
    assert np.abs(original[covered] - original[covered].mean()).mean() > 0.06


def test_outputs_of_ants_by_their_prefix(cases, tmp_path):
    folder, displacement, affine = cases[3]
    fixed, moving = grids()
    write_transform(tmp_path / 'out_0GenericAffine.mat', affine_transform(affine))
    for name, field in (('1Warp', displacement), ('1InverseWarp', -displacement)):  # a known inverse is taken as it is
        mmreg.io.write_displacement_image(tmp_path / f'out_{name}.nii.gz', field, fixed)
    image, prefix = read_volume(folder / 'moving.nrrd'), tmp_path / 'out_'
    forward = mmreg.apply_transform(prefix, image)
    expected = mmreg.apply_transform([folder / 'warp.nii.gz', folder / 'affine.mat'], image)
    assert np.abs(forward.array - expected.array).max() < 1e-5 and forward.geometry.same_grid(fixed)
    backward = mmreg.apply_transform(prefix, expected, moving, inverse=True)
    by_hand = compose(affine_transform(affine).inverse(), displacement_transform(-displacement, fixed))
    assert np.abs(backward.array - resample_to(expected, moving, transform=by_hand).array).max() < 1e-4
    assert run('apply', prefix, folder / 'moving.nrrd', '-o', tmp_path / 'out') == 0


def test_folder_of_a_registration(cases, tmp_path):
    folder, displacement, affine = cases[3]
    fixed, moving = grids()
    write_itk_transform(tmp_path / 'transform.h5', displacement, fixed, affine)
    mmreg.io.write_inverse_itk_transform(tmp_path / 'inverse_transform.h5', -displacement, fixed, affine)
    (tmp_path / 'plan.json').write_text('{"files": ["transform.h5", "plan.json"]}')
    assert run('apply', tmp_path, folder / 'moving.nrrd', '-o', tmp_path) == 0
    result = read_volume(tmp_path / 'moving_warped.nrrd')
    expected = mmreg.apply_transform([folder / 'warp.nii.gz', affine], read_volume(folder / 'moving.nrrd'))
    assert np.abs(result.array - expected.array).max() < 1e-5
    # the registration is still there
    assert {'plan.json', 'transform.h5', 'inverse_transform.h5'} < {path.name for path in tmp_path.iterdir()}
    back = mmreg.apply_transform(tmp_path, result, moving, inverse=True)
    given = compose(affine_transform(affine).inverse(), displacement_transform(-displacement, fixed))
    assert np.abs(back.array - resample_to(result, moving, transform=given).array).max() < 1e-5


def test_time_points_channels_and_voxel_types(cases, tmp_path):
    folder, displacement, affine = cases[3]
    fixed, moving = grids()
    frames = [smooth_image(moving, seed).array for seed in (1, 2)]
    series = sitk.JoinSeries([Volume(frame, moving).to_sitk() for frame in frames])
    sitk.WriteImage(series, str(tmp_path / 'bold.nii.gz'))
    colour = Volume(np.stack(frames, -1), moving)
    write_volume(tmp_path / 'colour.nrrd', colour)
    write_volume(tmp_path / 'ct.mha', Volume((frames[0] * 3000 - 1000).astype(np.int16), moving))
    chain = ['-t', folder / 'warp.nii.gz', '-t', folder / 'affine.mat', '-o', tmp_path / 'out', '--fill', '-1000']
    files = [tmp_path / name for name in ('bold.nii.gz', 'colour.nrrd', 'ct.mha')]
    assert run('apply', *files, *chain) == 0
    bold = sitk.ReadImage(str(tmp_path / 'out/bold_warped.nii.gz'))
    assert bold.GetSize() == (*fixed.shape, 2)
    back = sitk.ReadImage(str(tmp_path / 'out/colour_warped.nrrd'))
    ct = sitk.ReadImage(str(tmp_path / 'out/ct_warped.mha'))
    assert ct.GetPixelID() == sitk.sitkInt16 and sitk.GetArrayFromImage(ct).min() == -1000
    transform = displacement_transform(displacement, fixed, affine)
    for n, frame in enumerate(frames):
        expected = resample_to(Volume(frame, moving), fixed, transform=transform, fill=-1000).array
        assert np.abs(Volume.from_sitk(bold[..., n]).array - expected).max() < 1e-3
        assert np.abs(Volume.from_sitk(back).array[..., n] - expected).max() < 1e-3


BAD = {
    'no inputs': ('{case}/warp.nii.gz',),
    'nothing': (),
    'no such transform': ('{case}/none.h5', '{case}/moving.nrrd'),
    'no such prefix': ('{case}/none_', '{case}/moving.nrrd'),
    'no such image': ('{case}/warp.nii.gz', '{case}/none.nrrd'),
    'an image is no transform': ('{case}/moving.nrrd', '{case}/moving.nrrd'),
    'an affine has no grid': ('{case}/affine.mat', '{case}/moving.nrrd'),
    'same names': ('{case}/warp.nii.gz', '{case}/moving.nrrd', '{case}/moving.nrrd'),
    'good one, then bad one': ('{case}/warp.nii.gz', '{case}/moving.nrrd', '{case}/broken.nii.gz'),
    'landmarks without their image': ('{case}/warp.nii.gz', '{case}/points.csv'),
    'landmarks of the wrong dimension': ('{case}/warp.nii.gz', '--fixed-landmarks', '{case}/points.csv'),
    'another dimension': ('{case}/warp.nii.gz', '{case}/flat.nrrd'),
    'mixed dimensions': ('-t', '{case}/warp.nii.gz', '-t', '{case}/flat.txt', '{case}/moving.nrrd'),
    'singular matrix': ('-t', '{case}/singular.txt', '{case}/moving.nrrd'),
    'folder without transform': ('{case}', '{case}/moving.nrrd'),
    'labels with fractions': ('{case}/warp.nii.gz', '--labels', '{case}/moving.nrrd'),
    'voxels without a grid': ('{case}/affine.mat', '--fixed-landmarks', '{case}/voxels.csv'),
    'no results': ('{case}/warp.nii.gz', '{case}/moving.nrrd', '--without-out'),
}


@pytest.mark.parametrize('what', BAD)
def test_bad_input_is_one_sentence(cases, tmp_path, capsys, what):
    case = cases[3][0]
    (case / 'broken.nii.gz').write_bytes(b'no image')
    (case / 'points.csv').write_text('x,y\n1,2\n')
    (case / 'voxels.csv').write_text('1,2,3\n')
    np.savetxt(case / 'flat.txt', np.eye(3))
    np.savetxt(case / 'singular.txt', np.zeros((4, 4)))
    write_volume(case / 'flat.nrrd', smooth_image(grids(2)[0]))
    arguments = [argument.format(case=case) for argument in BAD[what]]
    without = '--without-out' in arguments
    arguments = [a for a in arguments if a != '--without-out'] + ([] if without else ['-o', tmp_path / 'out' / 'deep'])
    assert run('apply', *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith('mmreg: error: ') and error.count('\n') == 1 and 'expected' in error, error
    assert not list(tmp_path.iterdir())


def test_wrong_direction_is_told(cases, tmp_path, capsys):
    folder = cases[3][0]
    far = np.eye(4)
    far[0, 3] = 500
    np.savetxt(tmp_path / 'far.txt', far)
    fixed = folder / 'fixed.nii.gz'
    assert run('apply', tmp_path / 'far.txt', folder / 'moving.nrrd', '-r', fixed, '-o', tmp_path / 'out') == 0
    assert 'nothing of it lies on the reference grid' in capsys.readouterr().out


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_leaves_nothing(cases, tmp_path, monkeypatch, number):
    folder = cases[3][0]
    original = mmreg.transforms.outputs.write_sitk

    def interrupted(path, image):
        original(path, image)
        signal.raise_signal(number)

    monkeypatch.setattr(mmreg.transforms.outputs, 'write_sitk', interrupted)
    assert run('apply', folder / 'warp.nii.gz', folder / 'moving.nrrd', '-o', tmp_path / 'out') == 130
    assert not list(tmp_path.iterdir())
