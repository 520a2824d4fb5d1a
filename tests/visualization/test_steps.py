"""Figures of an unrolled registration."""

import pytest
import torch

from mmreg.registry import REGISTRARS
from mmreg.visualization.steps import energy_figure, steps_figure


@pytest.mark.parametrize('size', [(16, 20), (8, 10, 6)])
def test_figures_of_every_step(size, tmp_path):
    ndim = len(size)
    model = REGISTRARS.build(
        {
            'type': 'Registrar',
            'ndim': ndim,
            'backbone': {'type': 'ImagePyramid', 'levels': 2, 'any_size': True},
            'flow_head': {'type': 'GraDIRNHead', 'layers': 0, 'repeats': 1},
        }
    ).eval()
    model.flow_head.record = True
    images = {name: torch.rand(1, *size) for name in ('fixed', 'moving')}
    with torch.no_grad():
        steps = model({name: image[None] for name, image in images.items()}).extras['steps']
    energy = energy_figure(steps, tmp_path / 'energy.png', title='case')
    labels = torch.randint(0, 3, (1, *size))
    plain = steps_figure(steps, images['fixed'], images['moving'])
    full = steps_figure(
        steps, images['fixed'], images['moving'], tmp_path / 'steps.png', fixed_labels=labels, moving_labels=labels
    )
    assert energy.ndim == 3 and energy.std() > 0
    assert full.shape[0] > plain.shape[0] and full.shape[1] == plain.shape[1]
    assert (tmp_path / 'energy.png').exists() and (tmp_path / 'steps.png').exists()
