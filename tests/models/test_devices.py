"""One training step and one prediction of every config on the ``meta`` device: no copy, no wait, one device.

At the size of the config's data set, with mixed precision and without. The parts themselves: test_device_parts.py.
"""

import pytest
import torch

from mmreg.evaluation.analysis.costs import size_of
from tests import configs
from tests.models import devices

#: The trainings that most users run first, and one of each kind of flow.
FIRST = ('eoir_lumir', 'voxelmorph_lumir', 'sitreg_oasis', 'c2fvit_oasis', 'spine_mind_pc_oc')


def check(name, known_in_training=devices.KNOWN, known_in_prediction=devices.KNOWN_IN_PREDICTION):
    """At the size of the config's data set: it costs no memory."""
    path = configs.FOLDER / f'{name}.py'
    cfg = configs.look(path)
    model = devices.build(path)
    inputs = devices.inputs_of(model, size_of(cfg, cfg.model.get('ndim', 3)))
    for autocast in (False, True):
        # The presets of `mmreg register` are no trainings: one pair is optimised, with a head of the pipeline's choice.
        if not name.startswith('register_'):
            assert devices.unexpected(devices.step(model, inputs, True, autocast), known_in_training) == []
        assert devices.unexpected(devices.step(model, inputs, False, autocast), known_in_prediction) == []


@pytest.mark.parametrize('name', FIRST)
def test_first_trainings(name):
    """No wait and no copy at all in training; in prediction none but at the end of SITReg's fixed point."""
    inverts = ['spatial/invert.py'] if name.startswith('sitreg') else []
    check(name, known_in_training=[], known_in_prediction=inverts)


def with_model():
    return [path.stem for path in configs.ALL if path.stem not in FIRST and 'model' in configs.look(path)]


@pytest.mark.slow
@pytest.mark.parametrize('name', with_model())
def test_every_config(name):
    check(name)


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
