"""A deformation is kept where a measure that it was not fitted to agrees."""

import torch
from torch.nn import functional as F

from mmreg.registration.optimisation import optimise
from mmreg.registration.sources.second_opinion import restrained, second_opinion
from mmreg.registry import REGISTRARS

MODEL = dict(
    type='Registrar',
    ndim=2,
    backbone=dict(type='ImagePyramid', levels=1, any_size=True),
    flow_head=dict(type='FreeField'),
    integrator=dict(type='IdentityIntegrator'),
    losses=dict(similarity=dict(type='LNCC', window=5)),
)


def textures():
    torch.manual_seed(0)
    return F.interpolate(torch.rand(2, 1, 16, 16), size=(64, 64), mode='bicubic', align_corners=True)


def test_a_field_that_tears_is_left_out_and_one_that_helps_is_kept():
    """Of a batch of two pairs the first is torn, the second shifted back to where it was."""
    moving = textures()
    fixed = moving.clone()
    fixed[1] = moving[1].roll(3, 0 + 1)
    torch.manual_seed(1)
    field = torch.zeros(2, 2, 64, 64)
    field[:1] = 12 * F.interpolate(torch.randn(1, 2, 10, 10), size=(64, 64), mode='bicubic', align_corners=True)
    field[1, 0] = -3.0
    model = REGISTRARS.build(dict(MODEL))
    opinions = second_opinion(model, {'fixed': fixed, 'moving': moving, 'spacing': (1.0, 1.0)}, field)
    torn, helped = opinions
    assert torn.kept == 0 and torn.after > torn.before and 'less alike' in torn.warning
    assert helped.kept == 1 and helped.after < helped.before and helped.warning is None
    kept = restrained(field, opinions)
    assert kept[0].abs().max() == 0 and torch.equal(kept[1], field[1])


def test_a_field_that_leaves_the_moving_image_is_left_out():
    """Where nothing is seen any more nothing can get worse."""
    images = textures()
    away = torch.full((2, 2, 64, 64), 100.0)
    away[1] = 10.0  # most of it stays
    model = REGISTRARS.build(dict(MODEL))
    inputs = {'fixed': images, 'moving': images.roll((-10, -10), (2, 3)), 'spacing': (1.0, 1.0)}
    gone, stays = second_opinion(model, inputs, -away)
    assert gone.kept == 0 and gone.stays == 0 and 'inside the moving image' in gone.warning
    assert stays.stays > 0.5


def test_labels_know_better():
    losses = dict(MODEL['losses'], overlap=dict(type='Dice', weight=1.0))
    model = REGISTRARS.build(dict(MODEL, losses=losses, label_values=2))
    images = textures()
    inputs = {'fixed': images, 'moving': images, 'spacing': (1.0, 1.0)}
    assert second_opinion(model, inputs, torch.zeros(2, 2, 64, 64)) == [None, None]


SETTINGS = dict(
    levels=[dict(scale=4, iterations=30), dict(scale=2, iterations=30), dict(scale=1, iterations=10)],
    smooth_update=2.5,
    smooth_field=1.2,
    inverse=False,
)


def opinion_of(fixed, moving):
    model = REGISTRARS.build(dict(MODEL))
    inputs = {'fixed': fixed, 'moving': moving, 'spacing': (1.0, 1.0)}
    field = optimise(model, inputs, SETTINGS).displacement
    (opinion,) = second_opinion(model, inputs, field, SETTINGS)
    return opinion


def texture(seed, size=(96, 96)):
    torch.manual_seed(seed)
    return F.interpolate(torch.rand(1, 1, 24, 24), size=size, mode='bicubic', align_corners=True)


def test_what_two_halves_of_the_voxels_do_not_agree_on_is_chance():
    opinion = opinion_of(texture(0), texture(1))
    assert opinion.kept == 0 and opinion.agreement < 0.35 and 'chance' in opinion.warning


def test_what_is_hidden_in_noise_and_agreed_on_is_kept():
    moving, noise = texture(0), texture(1)
    fixed = moving.roll((2, 3), (2, 3))
    opinion = opinion_of(fixed + 0.6 * noise, moving + 0.6 * texture(2))
    assert opinion.kept == 1 and opinion.warning is None
