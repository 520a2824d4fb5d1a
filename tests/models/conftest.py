"""Small models for tests."""

import pytest
import torch

from mmreg.registry import REGISTRARS


def eoir_config(ndim=3, channels=4, levels=2, **changes):
    """A small EOIR with an unsupervised objective."""
    weights = [0.5**level for level in range(levels)]
    config = {
        'type': 'Registrar',
        'ndim': ndim,
        'backbone': {
            'type': 'ResizePyramid',
            'levels': levels,
            'encoder': {'type': 'EOIREncoder', 'channels': channels},
        },
        'flow_head': {'type': 'CoarseToFineHead'},
        'integrator': {'type': 'ScalingSquaring', 'steps': 4},
        'losses': {
            'similarity': {'type': 'MSE', 'weight': 1.0, 'levels': weights},
            'smoothness': {'type': 'Diffusion', 'penalty': 'l2', 'on': 'velocity', 'weight': 0.5, 'levels': weights},
        },
    }
    config.update(changes)
    return config


@pytest.fixture
def config():
    return eoir_config


@pytest.fixture
def build():
    return lambda **changes: REGISTRARS.build(eoir_config(**changes))


@pytest.fixture
def pair():
    def make(size, batch=1, labels=False, channels=1):
        generator = torch.Generator().manual_seed(1)
        inputs = {key: torch.rand(batch, channels, *size, generator=generator) for key in ('fixed', 'moving')}
        if labels:
            for key in ('fixed_labels', 'moving_labels'):
                inputs[key] = torch.randint(0, 3, (batch, 1, *size), generator=generator)
        return inputs

    return make
