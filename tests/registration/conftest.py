"""A model with a known displacement, files to register, and the command."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmreg.io import write_volume
from mmreg.plugins import load_plugin
from tests.io.helpers import oblique, smooth_image

PLUGIN = Path(__file__).with_name('parts.py')


def model_config(ndim=3, **head):
    """A tiny registrar whose displacement is that of the test head, or of random weights where ``head`` is empty."""
    flow_head = dict(type='TestWaveHead', **head) if head else dict(type='CoarseToFineHead')
    encoder = dict(type='EOIREncoder', channels=2)
    return dict(
        model=dict(
            type='Registrar',
            ndim=ndim,
            backbone=dict(type='ResizePyramid', levels=2, encoder=encoder),
            flow_head=flow_head,
        )
    )


@pytest.fixture
def config():
    """Makes a Config of :func:`model_config` with more keys."""
    load_plugin(PLUGIN)
    return lambda ndim=3, inference=None, **head: Config(
        model_config(ndim, **head) | ({'inference': inference} if inference else {})
    )


@pytest.fixture
def pair(tmp_path):
    """Two images on different grids: odd sizes, anisotropic, oblique, one flipped. Returns their paths."""
    fixed, moving = tmp_path / 'fixed.nii.gz', tmp_path / 'moving.nrrd'
    write_volume(fixed, smooth_image(oblique((19, 23, 15), degrees=15.0)))
    write_volume(moving, smooth_image(oblique((25, 21, 17), (1.2, 1.1, 2.0), -10.0, (2.0, -4.0, 10.0), (0,)), seed=3))
    return fixed, moving


@pytest.fixture
def command(tmp_path):
    """Runs the command with a config file of the test model; returns its exit code."""
    path = tmp_path / 'config.py'

    def run(*arguments, ndim=3, **head):
        from mmreg.commands.infer import main

        config = model_config(ndim, **(head or dict(amplitude=1.0, shift=(0.5, -0.3, 0.2))))
        path.write_text('\n'.join(f'{key} = {value!r}' for key, value in config.items()))
        return main([str(path), *map(str, arguments), '--plugin', str(PLUGIN), '--device', 'cpu'])

    return run
