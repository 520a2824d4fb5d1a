"""Transforms of other programs say the same as ours, in and out; what may be several things is asked about."""

import numpy as np
import pytest
import SimpleITK as sitk

from mmreg.errors import ConfigError, DataError, DataWarning
from mmreg.io import (
    Geometry,
    Volume,
    affine_transform,
    compose,
    displacement_transform,
    read_displacement_image,
    read_transform,
    write_displacement_image,
    write_volume,
)
from mmreg.io.foreign import FORMATS, Spaces, write_as
from mmreg.io.foreign.fsl import scaled_voxels

from .helpers import grid_points, oblique, rotation, smooth_displacement, smooth_image

nib = pytest.importorskip('nibabel')

FIXED = oblique((20, 24, 18), (1.5, 0.8, 2.5), 20.0)
MOVING = oblique((22, 26, 20), (1.2, 1.1, 2.0), -10.0, (5.0, -8.0, 12.0), (0,))
SPACES = Spaces(FIXED, MOVING)
#: AFNI knows grids along the axes only.
PLUMB = Spaces(oblique((20, 24, 18), (1.5, 0.8, 2.5), 0.0), oblique((22, 26, 20), (1.2, 1.1, 2.0), 0.0, flips=(0,)))


def world_affine():
    affine = np.eye(4)
    affine[:3, :3] = rotation(3, 8.0) * 1.05
    affine[:3, 3] = (3.0, -4.0, 2.0)
    return affine


def whole(grid=FIXED):
    """A displacement and an affine behind it."""
    return displacement_transform(smooth_displacement(grid, 2.0), grid, world_affine())


def points(grid=FIXED):
    return grid.voxel_to_world(grid_points(grid.shape)[::97])


def field(path, vectors, grid=FIXED, code=1007, name='', first=0.0, axes=5):
    array = vectors.astype('f4')
    image = nib.Nifti1Image(array[:, :, :, None] if axes == 5 else array, grid.affine)
    image.header['intent_code'], image.header['intent_name'], image.header['intent_p1'] = code, name, first
    nib.save(image, path)
    return path


def places(transform, grid=FIXED):
    voxels = grid_points(grid.shape)
    return transform.transform_points(grid.voxel_to_world(voxels)).reshape(*grid.shape, 3)


def own_places(grid=FIXED):
    return grid.voxel_to_world(grid_points(grid.shape)).reshape(*grid.shape, 3)


@pytest.mark.parametrize(
    ('form', 'name'),
    [('fsl', 'a.mat'), ('freesurfer', 'a.lta'), ('afni', 'a.aff12.1D'), ('niftyreg', 'a.txt'), ('ras', 'a.txt'),
     ('elastix', 'TransformParameters.0.txt')],
)  # fmt: skip
def test_matrices_out_and_in(tmp_path, form, name):
    spaces = PLUMB if form == 'afni' else SPACES
    write_as(tmp_path / name, affine_transform(world_affine()), form, spaces)
    back = read_transform(tmp_path / name, form=form, spaces=spaces)
    np.testing.assert_allclose(back.affine, world_affine(), atol=1e-6)
    if form != 'fsl':  # the others tell what they are
        np.testing.assert_allclose(read_transform(tmp_path / name).affine, world_affine(), atol=1e-6)
    if form != 'elastix':  # which names a field in its parameters
        with pytest.raises(DataError, match='not linear'):
            write_as(tmp_path / name, whole(), form, spaces)


@pytest.mark.parametrize('form', ['fsl', 'niftyreg', 'spm', 'afni'])
def test_fields_out_and_in(tmp_path, form):
    path = tmp_path / 'field.nii.gz'
    spaces = PLUMB if form == 'afni' else SPACES
    there = whole(spaces.fixed)
    write_as(path, there, form, spaces)
    back = read_transform(path, form=form, spaces=spaces)
    some = points(spaces.fixed)
    np.testing.assert_allclose(back.transform_points(some), there.transform_points(some), atol=2e-3)
    if form in ('niftyreg', 'spm'):
        assert np.abs(read_transform(path).transform_points(points()) - back.transform_points(points())).max() == 0
        with pytest.raises(DataError, match='read_transform reads it'):
            read_displacement_image(path)


def test_fsl_by_hand(tmp_path):
    """A voxel at scaled place p of moving lies at M p of fixed; the first axis is turned in neurological images."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation(3, 3.0), (2, -1, 0.5)
    np.savetxt(tmp_path / 'flirt.mat', matrix)
    transform = read_transform(tmp_path / 'flirt.mat', form='fsl', spaces=SPACES)
    moving = np.array([4.0, 7, 5, 1])
    fixed = np.linalg.inv(scaled_voxels(FIXED)) @ matrix @ scaled_voxels(MOVING) @ moving
    np.testing.assert_allclose(
        transform.transform_points(FIXED.voxel_to_world(fixed[:3])[None])[0], MOVING.voxel_to_world(moving[:3])
    )
    assert np.linalg.det(FIXED.matrix) > 0 > np.linalg.det(MOVING.matrix)
    np.testing.assert_allclose(scaled_voxels(FIXED) @ [19, 0, 0, 1], [0, 0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(scaled_voxels(MOVING) @ [0, 0, 0, 1], [0, 0, 0, 1])


def test_a_matrix_as_text_is_asked_about(tmp_path):
    np.savetxt(tmp_path / 'a.mat', world_affine())
    with pytest.raises(DataError, match='--format fsl or --format ras'):
        read_transform(tmp_path / 'a.mat')
    np.testing.assert_allclose(read_transform(tmp_path / 'a.mat', form='ras').affine, world_affine())
    np.testing.assert_allclose(read_transform(f'ras:{tmp_path / "a.mat"}').affine, world_affine())
    with pytest.raises(DataError, match=r'voxels of both images.*--reference FIXED and --moving MOVING'):
        read_transform(tmp_path / 'a.mat', form='fsl')
    with pytest.raises(ConfigError, match="format 'ants'"):
        read_transform(tmp_path / 'a.mat', form='ants')


@pytest.mark.parametrize('kind', ['displacement', 'deformation'])
def test_niftyreg(tmp_path, kind):
    vectors = places(whole()) - (own_places() if kind == 'displacement' else 0)
    path = field(tmp_path / 'cpp.nii.gz', vectors, name='NREG_TRANS', first=float(kind == 'displacement'))
    found = read_transform(path).transform_points(points())
    np.testing.assert_allclose(found, whole().transform_points(points()), atol=2e-3)


@pytest.mark.parametrize('first', [2, 3, 4, 5])
def test_what_is_no_field_of_niftyreg(tmp_path, first):
    with pytest.raises(DataError, match='reg_transform -def'):
        read_transform(field(tmp_path / 'cpp.nii.gz', own_places(), name='NREG_TRANS', first=first))


def test_spm_with_gaps(tmp_path):
    vectors = places(whole())
    vectors[:2] = np.nan
    path = field(tmp_path / 'y_a.nii', vectors, name='Mapping')
    with pytest.warns(DataWarning, match='vectors are not finite'):
        transform = read_transform(path)
    inner = FIXED.voxel_to_world(grid_points(FIXED.shape)[24 * 18 * 3 :: 31])
    np.testing.assert_allclose(transform.transform_points(inner), whole().transform_points(inner), atol=2e-3)


@pytest.mark.parametrize('signs', [(1, 1, 1), (-1, -1, 1)])
@pytest.mark.parametrize('ending', ['.nii.gz', '.mha'])
def test_places_without_a_name_are_refused(tmp_path, signs, ending):
    path = tmp_path / f'map{ending}'
    sitk.WriteImage(Volume((own_places() * signs).astype('f4'), FIXED).to_sitk(), str(path))
    with pytest.raises(DataError, match='holds places'):
        read_transform(path)
    write_displacement_image(tmp_path / f'good{ending}', smooth_displacement(FIXED, 3.0), FIXED)
    read_transform(tmp_path / f'good{ending}')


def test_vectors_without_intent_are_asked_about(tmp_path):
    path = field(tmp_path / 'warp.nii.gz', places(whole()) - own_places(), code=0, axes=4)
    with pytest.raises(DataError, match='expected --format fsl'):
        read_transform(path)
    found = read_transform(path, form='ras').transform_points(points())
    np.testing.assert_allclose(found, whole().transform_points(points()), atol=2e-3)


@pytest.mark.parametrize('absolute', [False, True])
def test_fsl_warps(tmp_path, absolute):
    to_fixed, to_moving = (scaled_voxels(g) @ np.linalg.inv(g.affine) for g in (FIXED, MOVING))
    there = places(whole()) @ to_moving[:3, :3].T + to_moving[:3, 3]
    here = own_places() @ to_fixed[:3, :3].T + to_fixed[:3, 3]
    path = field(tmp_path / 'warp.nii.gz', there if absolute else there - here, code=0, axes=4)
    found = read_transform(path, form='fsl', spaces=SPACES).transform_points(points())
    np.testing.assert_allclose(found, whole().transform_points(points()), atol=2e-3)
    with pytest.raises(DataError, match='fnirtfileutils'):
        read_transform(field(path, there, code=2009), spaces=SPACES)


def test_intent_of_displacements_keeps_its_frame(tmp_path):
    """1006 is RAS, 1007 is LPS: both are read rightly, also as another program's."""
    vectors = places(whole()) - own_places()
    for code, stored in ((1006, vectors), (1007, vectors * (-1, -1, 1))):
        found = read_transform(field(tmp_path / 'a.nii.gz', stored, code=code)).transform_points(points())
        np.testing.assert_allclose(found, whole().transform_points(points()), atol=2e-3)
    grid = PLUMB.fixed
    vectors = places(whole(grid), grid) - own_places(grid)
    afni = field(tmp_path / 'b.nii.gz', vectors * (-1, -1, 1), grid, code=1006)
    found = read_transform(afni, form='afni').transform_points(points(grid))
    np.testing.assert_allclose(found, whole(grid).transform_points(points(grid)), atol=2e-3)


@pytest.mark.parametrize('spaces', [Spaces(FIXED, PLUMB.moving), Spaces(PLUMB.fixed, MOVING), Spaces(FIXED)])
def test_afni_leaves_obliquity_out(tmp_path, spaces):
    with pytest.raises(DataError, match=r'turned by \d.* degrees'):
        write_as(tmp_path / 'a.aff12.1D', affine_transform(world_affine()), 'afni', spaces)
    write_as(tmp_path / 'a.aff12.1D', affine_transform(world_affine()), 'afni', PLUMB)
    for form in ('afni', None):
        with pytest.raises(DataError, match=r'a\.aff12\.1D: .*turned by \d.* degrees.*3dWarp -deoblique'):
            read_transform(tmp_path / 'a.aff12.1D', form=form, spaces=spaces)
    with pytest.raises(DataError, match='turned by'):
        read_transform(field(tmp_path / 'w.nii.gz', own_places(FIXED) * 0), form='afni')


def test_apply_knows_both_grids_of_a_matrix_of_afni(tmp_path, capsys):
    import mmreg.cli

    write_as(tmp_path / 'a.aff12.1D', affine_transform(world_affine()), 'afni', PLUMB)
    for name, grid in (('plumb', PLUMB.fixed), ('turned', FIXED), ('moving', PLUMB.moving)):
        write_volume(tmp_path / f'{name}.nii.gz', smooth_image(grid))
    for reference, code in (('plumb', 0), ('turned', 2)):
        command = ['apply', 'a.aff12.1D', 'moving.nii.gz', '-r', f'{reference}.nii.gz', '-o', 'out']
        paths = [str(tmp_path / word) if '.' in word or word == 'out' else word for word in command]
        assert mmreg.cli.main(paths) == code
    assert 'turned by' in capsys.readouterr().err


@pytest.mark.parametrize('kind', [0, 1])
def test_lta(tmp_path, kind):
    world = np.linalg.inv(world_affine())  # source (moving) -> destination (fixed)
    matrix = world if kind == 1 else np.linalg.inv(FIXED.affine) @ world @ MOVING.affine
    text = [f'type = {kind} # a comment', 'nxforms = 1', 'mean = 0 0 0', 'sigma = 1', '1 4 4']
    text += [' '.join(map(repr, row.tolist())) for row in matrix]
    for name, grid in (('src', MOVING), ('dst', FIXED)):
        direction, middle = grid.direction, grid.voxel_to_world(np.array(grid.shape) / 2)
        text += [f'{name} volume info', 'valid = 1  # volume info valid', f'filename = {name}.mgz']
        text += ['volume = ' + ' '.join(map(str, grid.shape)), 'voxelsize = ' + ' '.join(map(repr, grid.spacing))]
        text += [f'{axis}ras   = ' + ' '.join(map(repr, direction[:, n].tolist())) for n, axis in enumerate('xyz')]
        text += ['cras   = ' + ' '.join(map(repr, middle.tolist()))]
    (tmp_path / 'a.lta').write_text('\n'.join([*text, 'subject fsaverage', 'fscale 0.1']) + '\n')
    np.testing.assert_allclose(read_transform(tmp_path / 'a.lta').affine, world_affine(), atol=1e-6)
    for valid in ('valid =', 'valid = 0', 'volume info') if kind == 0 else ():  # in mm no geometry is asked for
        spoilt = '\n'.join(text).replace('valid = 1  # volume info valid', valid)
        (tmp_path / 'b.lta').write_text(spoilt)
        with pytest.raises(DataError, match=r'b\.lta: found'):
            read_transform(tmp_path / 'b.lta')


def elastix(path, kind, numbers, *more, initial='NoInitialTransform'):
    words = ' '.join(repr(float(n)) for n in numbers)
    path.write_text(
        f'(Transform "{kind}")\n(NumberOfParameters {len(numbers)})\n(TransformParameters {words})\n'
        f'(InitialTransformParametersFileName "{initial}")\n(HowToCombineTransforms "Compose")\n'
        '(FixedImageDimension 3)\n(CenterOfRotationPoint 5 -4 3)\n' + '\n'.join(more) + '\n'
    )


def test_elastix_chain(tmp_path):
    elastix(tmp_path / 'T.0.txt', 'EulerTransform', [0.1, -0.2, 0.05, 4, -3, 2], '(ComputeZYX "false")')
    itk = sitk.Euler3DTransform((5, -4, 3), 0.1, -0.2, 0.05, (4, -3, 2))
    probe = points()
    lps = np.array([itk.TransformPoint(p) for p in (probe * (-1, -1, 1)).tolist()]) * (-1, -1, 1)
    np.testing.assert_allclose(read_transform(tmp_path / 'T.0.txt').transform_points(probe), lps, atol=1e-9)
    size = (6, 7, 5)
    values = np.random.default_rng(0).normal(size=3 * 6 * 7 * 5)
    grid = ['(GridSize 6 7 5)', '(GridIndex 0 0 0)', '(GridSpacing 12 11 13)', '(GridOrigin -30 -33 -20)',
            '(GridDirection 1 0 0 0 1 0 0 0 1)', '(BSplineTransformSplineOrder 3)']  # fmt: skip
    elastix(tmp_path / 'T.1.txt', 'BSplineTransform', values, *grid, initial='/elsewhere/T.0.txt')
    spline = sitk.BSplineTransform(3, 3)
    spline.SetTransformDomainMeshSize([n - 3 for n in size])
    spline.SetTransformDomainPhysicalDimensions([(n - 3) * s for n, s in zip(size, (12, 11, 13))])
    spline.SetTransformDomainOrigin([o + s for o, s in zip((-30, -33, -20), (12, 11, 13))])
    spline.SetParameters(values.tolist())
    lps = np.array([spline.TransformPoint(itk.TransformPoint(p)) for p in (probe * (-1, -1, 1)).tolist()])
    found = read_transform(tmp_path / 'T.1.txt').transform_points(probe)
    np.testing.assert_allclose(found, lps * (-1, -1, 1), atol=1e-6)


def test_elastix_that_is_not_read(tmp_path):
    elastix(tmp_path / 'a.txt', 'SplineKernelTransform', [1])
    with pytest.raises(DataError, match='SplineKernelTransform of elastix, expected one of'):
        read_transform(tmp_path / 'a.txt')
    elastix(tmp_path / 'b.txt', 'TranslationTransform', [1, 2, 3], initial='b.txt')
    with pytest.raises(DataError, match='one that ends'):
        read_transform(tmp_path / 'b.txt')
    elastix(tmp_path / 'c.txt', 'EulerTransform', [1, 2])
    with pytest.raises(DataError, match='make no EulerTransform'):
        read_transform(tmp_path / 'c.txt')


def lists(path, shifts):
    text = '#Insight Transform File V1.0\n'
    for n, shift in enumerate(shifts):
        text += f'#Transform {n}\nTransform: AffineTransform_double_3_3\n'
        text += f'Parameters: 1 0 0 0 1 0 0 0 1 {shift} 0 0\nFixedParameters: 0 0 0\n'
    path.write_text(text)
    return path


def test_a_list_of_transforms(tmp_path):
    path = lists(tmp_path / 'per_frame.tfm', (0, 10, 20))
    with pytest.raises(DataError, match='found 3 transforms, .* --frame N, from 1 to 3'):
        read_transform(path)
    assert read_transform(path, frame=3).affine[0, 3] == -20
    with pytest.raises(DataError, match='instead of 4'):
        read_transform(path, frame=4)
    (tmp_path / 'a.1D').write_text('1 0 0 5 0 1 0 0 0 0 1 0\n1 0 0 7 0 1 0 0 0 0 1 0\n')
    with pytest.raises(DataError, match='found 2 transforms'):
        read_transform(tmp_path / 'a.1D')
    assert read_transform(tmp_path / 'a.1D', frame=2).affine[0, 3] == -7


def test_composites_are_chains(tmp_path):
    from mmreg.io import write_transform

    chain = compose(affine_transform(world_affine()), affine_transform(world_affine()))
    write_transform(tmp_path / 'chain.tfm', chain)
    np.testing.assert_allclose(read_transform(tmp_path / 'chain.tfm').affine, world_affine() @ world_affine())


@pytest.mark.parametrize('form', FORMATS)
@pytest.mark.parametrize('text', ['', 'hello\n', '1 2 3\n', 'nan nan\nnan nan\n', '(Transform "x")\n', '\x00\x01'])
@pytest.mark.parametrize('name', ['a.mat', 'a.txt', 'a.lta', 'a.1D', 'a.tfm'])
def test_rubbish(tmp_path, form, text, name, capfd):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        read_transform(tmp_path / name, form=form, spaces=SPACES)
    assert '\n' not in str(caught.value) and 'expected' in str(caught.value)
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize('ndim', [2, 3])
def test_a_field_for_elastix_comes_back(tmp_path, ndim):
    """Its parameters name the image beside them; the map is the same at every voxel."""
    grid = Geometry.from_parts((14, 12, 10)[:ndim], (1.5, 2.0, 2.5)[:ndim], (3.0, -4.0, 5.0)[:ndim])
    rng = np.random.default_rng(0)
    coarse = rng.normal(scale=1.5, size=(ndim, *grid.shape)).astype(np.float32)
    transform = displacement_transform(coarse, grid)
    write_as(tmp_path / 'TransformParameters.0.txt', transform, 'elastix', Spaces(grid))
    assert (tmp_path / 'TransformParameters.0.field.nii.gz').is_file()
    found = read_transform(tmp_path / 'TransformParameters.0.txt')
    inside = grid.voxel_to_world(rng.uniform(0.5, 8, (40, ndim)))
    np.testing.assert_allclose(found.transform_points(inside), transform.transform_points(inside), atol=1e-4)
    (tmp_path / 'TransformParameters.0.field.nii.gz').unlink()
    with pytest.raises(DataError, match='field.nii.gz'):
        read_transform(tmp_path / 'TransformParameters.0.txt')
