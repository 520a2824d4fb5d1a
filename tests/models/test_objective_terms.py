"""Keys of a named loss that say what it is given: levels without computation, borders, resolution, the middle."""

import dataclasses

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.models import Objective, terms
from mmreg.models.losses import MSE
from mmreg.spatial import image_pyramid, warp, warp_across
from mmreg.structures import Fields


def fields(*sizes, amount=1.7):
    generator = torch.Generator().manual_seed(2)
    return Fields([amount * torch.randn(1, 2, *size, generator=generator) for size in sizes])


def images(*size):
    generator = torch.Generator().manual_seed(1)
    return {key: torch.rand(1, 1, *size, generator=generator) for key in ('fixed', 'moving')}


def evaluate(config, given, inputs, **options):
    return Objective({'term': config}, **options)(given, inputs)['term']


def test_a_level_of_none_is_not_computed():
    given, inputs = fields((16, 16), (8, 8)), images(16, 16)
    objective = Objective({'term': {'type': 'MSE', 'levels': [None, 1.0]}})
    first, second = objective.level_terms(given, inputs)['term']
    assert first is None and torch.equal(objective(given, inputs)['loss_term'], second)


@pytest.mark.parametrize('outside', ['zeros', 'border'])
def test_what_a_warped_image_is_outside(outside):
    given, inputs = fields((8, 8), amount=6.0), images(8, 8)
    expected = MSE()(warp(inputs['moving'], given.displacement, padding=outside), inputs['fixed'])
    assert evaluate({'type': 'MSE', 'outside': outside}, given, inputs) == expected


def test_the_moving_image_at_full_resolution():
    given, inputs = fields((16, 12), (8, 6)), images(16, 12)
    pyramid = {'kernel': 'average'}
    fixed = image_pyramid(inputs['fixed'], 2, **pyramid)[1]
    config = {'type': 'MSE', 'levels': [None, 1.0], 'source': 'full'}
    expected = MSE()(warp_across(inputs['moving'], given.displacements[1]), fixed)
    assert evaluate(config, given, inputs, pyramid=pyramid) == expected
    assert evaluate({**config, 'source': 'level'}, given, inputs, pyramid=pyramid) != expected


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ({'type': 'MSE', 'outside': 'reflection'}, 'outside'),
        ({'type': 'MSE', 'source': 'half'}, 'source'),
        ({'type': 'MSE', 'direction': 'sideways'}, 'direction'),
        ({'type': 'Diffusion', 'on': 'warp'}, 'on is'),
        ({'type': 'Dice', 'direction': 'middle'}, 'middle'),
        ({'type': 'MSE', 'levels': [None, None]}, 'at least one level'),
        ({'type': 'MSE', 'scaled_by': 'smoothness_code'}, 'scaled_by'),
    ],
)
def test_what_makes_no_sense_is_refused_when_built(config, message):
    with pytest.raises(ConfigError, match=message):
        Objective({'term': config}, label_values=3)


def test_a_coarser_level_is_told_its_own_voxel_size():
    """Levels of 9 and 4 voxels cover the same 8 (20) mm, corners aligned."""
    seen = []
    objective = Objective({'term': {'type': 'LNCC', 'window': 3, 'isotropic': True, 'levels': [1, 1]}})
    hook = lambda _, args, kwargs: seen.append(kwargs['spacing'])  # noqa: E731
    objective.terms['term'].at(0).register_forward_pre_hook(hook, with_kwargs=True)
    given = fields((9, 9), (4, 4))
    images = {'fixed': torch.rand(1, 1, 9, 9), 'moving': torch.rand(1, 1, 9, 9)}
    objective(given, {**images, 'spacing': (1.0, 2.5)})
    assert seen == [[1.0, 2.5], pytest.approx([8 / 3, 20 / 3])]


def test_what_is_no_loss_is_refused():
    with pytest.raises(ConfigError, match='losses.term.type is Identity, expected a subclass of'):
        Objective({'term': {'type': 'torch.nn.Identity'}})


def test_every_list_of_fields_has_a_word():
    """A list that a head can return is one that a loss can be put on, and nothing else is."""
    lists = {one.name for one in dataclasses.fields(Fields) if one.name != 'extras'}
    assert set(terms.FIELDS.values()) == lists


def test_a_list_that_the_head_does_not_return_is_named():
    with pytest.raises(ConfigError, match='found 0 halves from the flow head'):
        evaluate({'type': 'Diffusion', 'on': 'half'}, fields((8, 8)), {})
