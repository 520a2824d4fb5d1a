"""Which preset is chosen for phantoms of organs and contrasts, and the words that say why."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from mmreg.io import Geometry, ImageFile, Volume
from mmreg.registration.inputs import load_image, read_pair
from mmreg.registration.presets import choice as preset_choice
from mmreg.registration.presets.looks import dicom_tags, look_at

from .phantoms import centred, draw, pose

ALL = (
    'abdomen_ct',
    'brain_multimodal',
    'brain_t1',
    'cardiac_cine',
    'generic',
    'generic_multimodal',
    'lung_ct',
    'spine',
)


@pytest.fixture(autouse=True)
def presets(monkeypatch):
    monkeypatch.setattr(preset_choice, 'find_presets', lambda: dict.fromkeys(ALL))


def choose(fixed, moving):
    return preset_choice.choose_preset(read_pair({'fixed': fixed, 'moving': moving}, channels=None))


def texture(geometry, seed=0, offset=2.0):
    """Tissue up to the border: coarse smooth noise, not negative."""
    noise = gaussian_filter(np.random.default_rng(5).normal(size=geometry.shape), 2.5)
    fine = np.random.default_rng(seed).normal(size=geometry.shape)
    array = offset + noise / noise.std() + 0.05 * fine
    return Volume((100 * np.maximum(array, 0.3)).astype(np.float32), geometry)


HEAD = centred((50, 60, 52), (3.2, 3.2, 3.2))


def head(world=None, seed=0, **options):
    """The body, twice as large, in the middle of a dark box of a head's size."""
    larger = np.diag([2.0, 2.0, 2.0, 1.0])
    return draw(HEAD, larger if world is None else world @ larger, seed=seed, **options)


def other_contrast(volume):
    bright = volume.array > 0.25
    return Volume(np.where(bright, 1.4 - volume.array, volume.array).astype(np.float32), volume.geometry)


def test_brains():
    name, reasons = vars(choose(head(), head(pose(20, (15, 0, 0)), 1))).values()
    assert name == 'brain_t1' and 'that of a head' in reasons[0] and 'the same contrast' in reasons[1]
    name, reasons = vars(choose(head(), other_contrast(head(pose(20, (15, 0, 0)), 1)))).values()
    assert name == 'brain_multimodal' and 'different contrasts' in reasons[1]


def trunk(lung):
    """A body in air in Hounsfield units, with lungs of the given radius (mm)."""
    grid = centred((50, 44, 40), (7.0, 7.0, 7.0))
    points = grid.voxel_to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing='ij'), -1))
    noise = np.random.default_rng(0).normal(size=grid.shape)
    array = np.full(grid.shape, -1000.0) + 15 * noise
    array[((points[..., :2] / (140, 100)) ** 2).sum(-1) < 1] = 40
    for side in (-60, 60):
        array[((points - (side, 0, 0)) ** 2).sum(-1) < lung**2] = -800
    return Volume((array + 10 * noise).astype(np.float32), grid)


def test_ct():
    name, reasons = vars(choose(trunk(62), trunk(60))).values()
    assert name == 'lung_ct' and 'Hounsfield' in reasons[0] and 'of the body is lung' in reasons[1]
    assert choose(trunk(15), trunk(16)).name == 'abdomen_ct'


def test_heart():
    grid = centred((64, 64, 9), (1.4, 1.4, 10.0))
    name, reasons = vars(choose(texture(grid), texture(grid, 1))).values()
    assert name == 'cardiac_cine' and reasons[0].startswith('the image is a stack of 9 slices of 10 mm, 90 mm together')
    inverted = texture(grid, 1)
    inverted = Volume(inverted.array.max() - inverted.array, grid)
    assert choose(texture(grid), inverted).name == 'generic_multimodal'


def test_spine():
    grid = centred((40, 60, 64), (1.0, 1.0, 1.0))
    name, reasons = vars(choose(texture(grid), texture(grid, 1))).values()
    assert name == 'spine' and 'narrow from left to right (40 mm)' in reasons[0]
    sagittal = Geometry.from_parts((128, 128, 15), (1.8, 1.8, 4.0), direction=np.eye(3)[:, [1, 2, 0]])
    assert choose(texture(sagittal), texture(sagittal, 1)).name == 'spine'


def test_general():
    plane = centred((60, 60), (1.0, 1.0))
    name, reasons = vars(choose(draw(plane), draw(plane, seed=1))).values()
    assert name == 'generic' and reasons[0] == 'the images are 2-D' and 'the same contrast' in reasons[1]
    large = centred((50, 50, 50), (8.0, 8.0, 8.0))
    name, reasons = vars(choose(texture(large), texture(large, 1))).values()
    assert name == 'generic' and reasons[0].startswith('nothing in the files speaks for')


def test_a_preset_that_is_not_there(monkeypatch):
    monkeypatch.setattr(preset_choice, 'find_presets', lambda: {'generic': None})
    choice = choose(head(), head(seed=1))
    assert choice.name == 'generic' and choice.reasons[-1] == 'there is no preset brain_t1 here'


def write_series(folder, volume, tags):
    """A DICOM series of an image, one file per slice."""
    folder.mkdir()
    image = sitk.Cast(volume.to_sitk(), sitk.sitkInt16)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    direction = image.GetDirection()
    shared = {
        '0020|000e': '1.2.826.0.1.3680043.2.1125.1', '0020|000d': '1.2.826.0.1.3680043.2.1125.2',
        '0020|0037': '\\'.join(str(direction[i]) for i in (0, 3, 6, 1, 4, 7)), '0008|0008': 'DERIVED\\SECONDARY',
        **tags,
    }  # fmt: skip
    for number in range(image.GetDepth()):
        plane = image[:, :, number]
        position = image.TransformIndexToPhysicalPoint((0, 0, number))
        for key, value in {**shared, '0020|0032': '\\'.join(map(str, position)), '0020|0013': str(number)}.items():
            plane.SetMetaData(key, value)
        writer.SetFileName(str(folder / f'{number}.dcm'))
        writer.Execute(plane)
    return folder


def test_dicom_tags_come_first(tmp_path):
    grid = centred((40, 40, 6), (2.0, 2.0, 3.0))
    folders = []
    for seed in (0, 1):
        tags = {'0008|0060': 'CT', '0018|0015': 'CHEST'}
        folders.append(
            write_series(tmp_path / f'series {seed}', Volume(trunk(62).array[5:45, 2:42, 17:23], grid), tags)
        )
    assert dicom_tags(ImageFile(folders[0])) == {'modality': 'CT', 'body part': 'CHEST'}
    assert dicom_tags(ImageFile(folders[0] / '3.dcm')) == {'modality': 'CT', 'body part': 'CHEST'}
    name, reasons = vars(choose(*folders)).values()
    assert name == 'lung_ct' and 'by their DICOM tags' in reasons[0]
    assert dicom_tags(ImageFile(tmp_path / 'absent')) == {}


def test_the_tags_of_the_series_that_was_chosen(tmp_path):
    volume = Volume(trunk(62).array[5:45, 2:42, 17:23], centred((40, 40, 6), (2.0, 2.0, 3.0)))
    study = tmp_path / 'study'
    study.mkdir()
    uids = [f'1.2.826.0.1.3680043.2.1125.{n}' for n in (1, 2)]
    for number, (uid, part) in enumerate(zip(uids, ('CHEST', 'BRAIN'))):
        folder = write_series(tmp_path / part, volume, {'0020|000e': uid, '0008|0060': 'CT', '0018|0015': part})
        for path in folder.iterdir():
            path.rename(study / f'{number}{path.name}')
    for series, part in ((uids[0], 'CHEST'), (uids[1], 'BRAIN'), ('1', 'CHEST'), ('2', 'BRAIN')):
        image = load_image(ImageFile(study, series=series), 'fixed')
        assert look_at(image).tags['body part'] == part


def test_dicom_names_the_part(tmp_path):
    folders = []
    grid = centred((40, 40, 8), (2.0, 2.0, 3.0))
    for seed in (0, 1):
        tags = {'0008|0060': 'MR', '0018|0015': 'CSPINE'}
        folders.append(write_series(tmp_path / str(seed), texture(grid, seed), tags))
    choice = choose(*folders)
    assert choice.name == 'spine' and choice.reasons == ('the DICOM tags say spine',)


def test_looks():
    look = look_at(read_pair({'fixed': texture(centred((64, 60, 9), (1.4, 1.4, 10.0))), 'moving': head()}).fixed)
    assert look.slices == (9, 10.0, 0.0) and look.slice_axis == 'SI' and look.dark_faces == (0, 4)
    assert {key: round(size) for key, size in look.extents.items()} == {'LR': 90, 'AP': 84, 'SI': 90}
    assert not look.is_ct and look.tags == {}
