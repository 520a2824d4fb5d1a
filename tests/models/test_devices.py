"""One training step and one prediction of every config on the ``meta`` device: no copy, no wait, one device."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from tests.models import devices

CONFIGS = Path(__file__).parents[2] / 'configs'
#: The trainings that most users run first, and one of each kind of flow.
FIRST = ('eoir_lumir', 'eoir_oasis', 'voxelmorph_lumir', 'sitreg_oasis', 'c2fvit_oasis', 'spine_mind_pc_oc')
#: Where a wait is known, and why.
KNOWN = {
    'spatial/rigid.py': 'how many vertebrae there are, and where each lies, is read from the label map',
    'models/losses/rigid_bodies.py': 'the same',
    'models/blocks/textscf/prompt_map.py': 'whether a label map has labels without a prompt',
    'models/blocks/textscf/covariant.py': 'how many voxels each prompt has, for one matrix product per prompt',
    'models/registrars/elastix.py': 'elastix works on the processor, with files in memory',
}
#: Besides, in predictions: the fixed point of an inverse ends where its error is small, looked at every few iterations.
KNOWN_IN_PREDICTION = KNOWN | {
    'spatial/invert.py': 'the fixed point ends early',
    'spatial/invert_multilevel.py': 'the same, and only the voxels that need it go on',
}


def unexpected(found, known):
    return [line for line in found if not any(f'at {place}:' in line for place in known)]


def check(name, voxels):
    path = CONFIGS / f'{name}.py'
    size = (voxels,) * Config.fromfile(path).model.get('ndim', 3)
    model = devices.build(path)
    inputs = devices.inputs_of(model, size)
    # The presets of `mmreg register` are no trainings: one pair is optimised, with a head that the pipeline chooses.
    for autocast in () if name.startswith('register_') else (False, True):
        assert unexpected(devices.step(model, inputs, training=True, autocast=autocast), KNOWN) == []
    assert unexpected(devices.step(model, inputs, training=False), KNOWN_IN_PREDICTION) == []


@pytest.mark.parametrize('name', FIRST)
def test_first_trainings(name):
    check(name, 64)


def with_model():
    paths = sorted(CONFIGS.glob('*.py'))
    return [path.stem for path in paths if path.stem not in FIRST and 'model' in Config.fromfile(path)]


@pytest.mark.slow
@pytest.mark.parametrize('name', with_model())
def test_every_config(name):
    check(name, 64)


@pytest.mark.parametrize('name', ['eoir_lumir', 'voxelmorph_lumir'])
def test_no_wait_and_no_copy_at_all(name):
    """At the published size; it costs no memory."""
    model = devices.build(CONFIGS / f'{name}.py')
    inputs = devices.inputs_of(model, (160, 224, 192))
    assert devices.step(model, inputs, training=True) == []
    assert devices.step(model, inputs, training=False) == []


def test_the_watch_sees_what_it_is_for():
    x = torch.empty(3, device='meta')
    with devices.Watch() as watch:
        torch.ones(3).to('meta')
        x[torch.tensor([0, 1])]
        x.new_empty(2).copy_(torch.ones(2))
    found = sorted(watch.found)
    assert any(line.startswith('copy') for line in found) and any(line.startswith('two devices') for line in found)
    with devices.Watch() as watch, pytest.raises((RuntimeError, NotImplementedError)):
        float(x.sum())
