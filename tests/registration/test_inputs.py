"""The same pair in every form a user may have it in."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch

import mmreg
from mmreg.apis import init_model
from mmreg.errors import CheckpointError, ConfigError, DataError
from mmreg.io import Geometry, Volume, read_volume
from mmreg.registration.inputs import Image, check_label_sets, digest, load_image
from mmreg.registration.results.outputs import in_type_of
from tests.io.helpers import oblique, smooth_image


def test_all_forms_give_the_same(config, pair):
    fixed, moving = pair
    register = mmreg.RegistrationInferencer(config(shift=(1.0, 0.0, 0.5)), device='cpu')
    reference = register(fixed, str(moving))
    volumes = read_volume(fixed), read_volume(moving)
    forms = [
        volumes,
        [sitk.ReadImage(str(path)) for path in pair],
        [(v.array, v.geometry) for v in volumes],
        [(v.array.astype(np.float64), v.geometry.affine) for v in volumes],
    ]
    for form in forms:
        result = register(*form)
        np.testing.assert_allclose(result.displacement, reference.displacement, atol=1e-5)
        np.testing.assert_allclose(result.warped.array, reference.warped.array, atol=1e-5)


@pytest.mark.parametrize('wrong', [np.zeros((4, 4, 4)), None, 3, ('a', 'b', 'c')], ids=str)
def test_other_forms_are_refused(config, wrong):
    register = mmreg.RegistrationInferencer(config(shift=(0.0, 0.0, 0.0)), device='cpu')
    with pytest.raises(DataError, match='expected a path, a Volume'):
        register(wrong, wrong)


def test_arrays_are_checked_like_files():
    geometry = Geometry.from_parts((4, 4, 4))
    with pytest.raises(DataError, match='moving: found a constant image'):
        load_image(Volume(np.ones((4, 4, 4)), geometry), 'moving')
    with pytest.raises(DataError, match='NaN'):
        load_image((np.full((4, 4, 4), np.nan), geometry), 'moving')
    with pytest.raises(DataError, match='found 2 channels, expected 1'):
        load_image(smooth_image(geometry, channels=2), 'moving')


def test_label_sets():
    grid = Geometry.from_parts((5, 1))
    one, two = (
        Image(Volume(np.array(v)[:, None], grid), n, np.dtype('u1'))
        for v, n in (([0, 1, 2, 3, 3], 'a'), ([0, 0, 1, 2, 2], 'b'))
    )
    with pytest.raises(DataError, match=r'\[3\] only in a'):
        check_label_sets(one, two)
    check_label_sets(one, two, 'overlap')
    check_label_sets(one, two, labels=[1, 2])
    with pytest.raises(DataError, match='share labels'):
        check_label_sets(one, two, 'overlap', labels=[3])


def test_digest(tmp_path, pair):
    assert digest(pair[0]) == digest(str(pair[0])) != digest(pair[1])
    volume = read_volume(pair[0])
    moved = Volume(volume.array, volume.geometry.padded((1, 0, 0), (-1, 0, 0)))
    assert digest(volume) != digest(moved)


@pytest.mark.parametrize(
    ('dtype', 'high', 'kept'),
    [('int16', 3000.0, True), ('uint8', 255.0, False), ('int16', 300.0, False), ('float64', 1e4, False)],
)
def test_voxel_type_of_the_warped_image(dtype, high, kept):
    array = np.linspace(0, high, 60, dtype=np.float32).reshape(3, 4, 5)
    written = in_type_of(Volume(array, Geometry.from_parts((3, 4, 5))), np.dtype(dtype)).array
    assert written.dtype == (np.dtype(dtype) if kept else np.float32)
    assert np.abs(written - array).max() <= (0.5 if kept else 0)


def test_voxel_type_of_files(tmp_path):
    for dtype in (np.int16, np.uint8, np.float32, np.float64):
        image = sitk.GetImageFromArray((np.arange(60) % 50).reshape(3, 4, 5).astype(dtype))
        sitk.WriteImage(image, str(tmp_path / 'x.nii.gz'))
        expected = np.dtype(dtype) if np.issubdtype(dtype, np.integer) else np.float32
        assert load_image(tmp_path / 'x.nii.gz', 'x').dtype == expected


def test_plan_tells_everything(config, pair, tmp_path):
    fixed, moving = pair
    register = mmreg.RegistrationInferencer(config(shift=(1.0, 0.0, 0.5), inference=dict(spacing=1.5)), device='cpu')
    register(fixed, moving, out_dir=tmp_path / 'out', case_id='x')
    plan = json.loads((tmp_path / 'out' / 'plan.json').read_text(encoding='utf-8'))
    assert plan['inputs']['fixed'] == {'path': str(fixed), 'sha256': digest(fixed)}
    assert plan['preparation']['spacing'] == 1.5 and 'TestWaveHead' in plan['config']
    assert plan['case_id'] == 'x' and plan['versions']['mmreg'] == mmreg.__version__ and plan['timings']['network'] > 0
    assert set(plan['files']) == {path.name for path in (tmp_path / 'out').iterdir()}
    again = config_from(plan['config'])
    assert again.model.flow_head.shift == (1.0, 0.0, 0.5)


def config_from(text):
    from mmengine.config import Config

    return Config.fromstring(text, '.py')


def test_init_model(config, tmp_path):
    cfg = config()
    model = init_model(cfg, device='cpu', cfg_options={'model.backbone.levels': 3})
    assert not model.training and len(model.flow_head.estimators) == 3 and cfg.model.backbone.levels == 2
    torch.save({'state_dict': model.state_dict(), 'meta': {'seed': 5}}, tmp_path / 'm.pth')
    loaded = init_model(model.cfg, tmp_path / 'm.pth', device='cpu')
    assert loaded.checkpoint_meta == {'seed': 5}
    for a, b in zip(model.state_dict().values(), loaded.state_dict().values()):
        assert torch.equal(a, b)
    with pytest.raises(CheckpointError, match='another architecture'):
        init_model(cfg, tmp_path / 'm.pth', device='cpu')
    with pytest.raises(ConfigError, match='device'):
        init_model(cfg, device='cuda:99')
    with pytest.raises(ConfigError, match='unknown'):
        init_model(cfg, device='abacus')
    cfg.pop('model')
    with pytest.raises(ConfigError, match='no key model'):
        init_model(cfg)


def test_names_are_loaded_on_first_use():
    assert mmreg.init_model is init_model
    with pytest.raises(AttributeError):
        _ = mmreg.nothing


def test_pair_without_paths(config):
    """Without paths the pair still has a name, and its result says what matters."""
    image = smooth_image(oblique())
    result = mmreg.RegistrationInferencer(config(shift=(0.0, 0.0, 0.0)), device='cpu')(image, image)
    assert result.case_id == 'fixed__moving' and 'fixed__moving' in repr(result)
