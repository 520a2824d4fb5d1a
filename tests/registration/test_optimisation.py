"""Registration without training: known motions come back, whatever the axes, levels, rules and batches."""

import pytest
import torch

from mmreg.errors import ConfigError, DataError
from mmreg.models.backbones.image_pyramid import ImagePyramid
from mmreg.registration.optimisation import Settings, optimise
from mmreg.registration.optimisation.folding import folded, unfold
from mmreg.registration.optimisation.levels import Grid, make_stages
from mmreg.registration.sources.refinement import last_level
from mmreg.registry import FLOW_HEADS, REGISTRARS
from mmreg.spatial import compose, gaussian_filter, invert, jacobian_determinant, warp

LEVELS = [dict(scale=2, iterations=15), dict(scale=1, iterations=15)]


def make_model(ndim=2, losses=None, channels=1, **head):
    return REGISTRARS.build(
        dict(
            type='Registrar',
            backbone=dict(type='ImagePyramid', levels=1, any_size=True, image_channels=channels),
            flow_head={'type': 'FreeField', **head},
            losses=losses or dict(similarity=dict(type='LNCC', window=5)),
            ndim=ndim,
        )
    )


def make_pair(size=(48, 40), seed=0, amplitude=8.0):
    """A textured moving image and the fixed one that a known smooth displacement makes of it."""
    generator = torch.Generator().manual_seed(seed)
    moving = gaussian_filter(torch.randn(1, 1, *size, generator=generator), 1.5, padding='border')
    moving = (moving - moving.min()) / (moving.max() - moving.min())
    true = gaussian_filter(torch.randn(1, len(size), *size, generator=generator), 6.0)
    true = true * (amplitude / 4 / true.abs().max())
    return warp(moving, true), moving, true


def register(fixed, moving, model=None, start=None, progress=None, spacing=None, **settings):
    inputs = dict(fixed=fixed, moving=moving)
    if spacing is not None:
        inputs['spacing'] = spacing
    model = model or make_model(fixed.dim() - 2)
    return optimise(model, inputs, {'levels': LEVELS, **settings}, start=start, progress=progress)


@pytest.mark.parametrize('size', [(48, 40), (24, 28, 20)])
@pytest.mark.parametrize('rule', ['plain', 'component', 'length'])
def test_known_motion_comes_back(size, rule):
    fixed, moving, true = make_pair(size)
    result = register(fixed, moving, rule=rule)
    before = true.norm(dim=1)[..., 4:-4].mean()
    after = (result.displacement - true).norm(dim=1)[..., 4:-4].mean()
    assert after < 0.4 * before
    assert result.folds == [0.0] and float(jacobian_determinant(result.displacement).min()) > 0


def test_every_pair_of_a_batch_is_registered_as_if_alone():
    pairs = [make_pair(seed=seed)[:2] for seed in (1, 2)]
    fixed, moving = (torch.cat(images) for images in zip(*pairs))
    together = register(fixed, moving).displacement
    alone = torch.cat([register(*pair).displacement for pair in pairs])
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=0)


@pytest.mark.parametrize('head', [dict(), dict(symmetric=True)])
def test_where_nothing_is_left_to_gain_nothing_moves(head):
    """Beside a pair that has to be moved; steps of a given length would follow rounding."""
    fixed, moving, _ = make_pair(seed=1)
    model = make_model(**head)
    batch = register(torch.cat([moving, fixed]), torch.cat([moving, moving]), model, smooth_update=4.0)
    assert batch.displacement[0].abs().max() == 0 and batch.displacement[1].abs().max() > 0.5
    noise = torch.rand(1, 1, 12, 11, 10, generator=torch.Generator().manual_seed(0))
    levels = [dict(scale=scale, iterations=20) for scale in (8, 4, 1)]
    assert register(noise, noise.clone(), levels=levels).displacement.abs().max() == 0


def test_same_input_same_bits():
    fixed, moving, _ = make_pair((20, 24, 18))
    first, second = (register(fixed, moving) for _ in range(2))
    assert torch.equal(first.displacement, second.displacement)
    assert torch.equal(first.inverse_displacement, second.inverse_displacement)
    assert first.curves == second.curves


def test_inverse_undoes_the_displacement():
    fixed, moving, _ = make_pair()
    result = register(fixed, moving)
    there = compose(result.displacement, result.inverse_displacement, 'border').norm(dim=1)
    assert float(there.max()) == float(result.residual.max) < 0.02
    assert register(fixed, moving, inverse=False).inverse_displacement is None


def test_curves_and_progress_tell_the_same_story():
    fixed, moving, _ = make_pair()
    seen = []
    losses = dict(similarity=dict(type='LNCC', window=5), edges=dict(type='NGF', weight=0.5))
    result = register(fixed, moving, model=make_model(losses=losses), progress=seen.append, last_step=0.5, step=0.4)
    assert [(p.level, p.iteration, p.losses['edges']) for p in seen] == result.curves['edges']
    assert len(seen) == 30 and (seen[0].levels, seen[0].iterations) == (2, 15)
    assert (seen[0].rate, seen[14].rate) == (0.4, 0.2)
    total = [s + 0.5 * e for (*_, s), (*_, e) in zip(result.curves['similarity'], result.curves['edges'])]
    assert [v for *_, v in result.curves['loss']] == pytest.approx(total, abs=1e-5)
    assert result.curves['loss'][-1][2] < 0.7 * result.curves['loss'][15][2] < result.curves['loss'][15][2]


def test_start_is_where_it_begins():
    fixed, moving, true = make_pair()
    still = register(fixed, moving, start=true, levels=[dict(scale=1, iterations=0)])
    torch.testing.assert_close(still.displacement, true, atol=1e-6, rtol=0)
    refined = register(fixed, moving, start=0.5 * true, levels=[dict(scale=1, iterations=5)])
    cold = register(fixed, moving, levels=[dict(scale=1, iterations=5)])
    assert (refined.displacement - true).norm() < 0.9 * (cold.displacement - true).norm()


def test_refinement_is_the_last_level_alone():
    settings = Settings.parse(dict(levels=last_level(dict(levels=LEVELS), 4), step=0.3))
    assert [(level.scale, level.iterations, level.step) for level in settings.levels] == [(1, 4, 0.3)]


@pytest.mark.parametrize('which', ['fixed_mask', 'moving_mask'])
def test_mask_hides_what_would_mislead(which):
    """A bright square that only one image has pulls the field towards itself unless a mask takes it out."""
    fixed, moving, true = make_pair((48, 48), amplitude=6.0)
    image = fixed if which == 'fixed_mask' else moving
    image[..., 18:30, 18:30] = 3.0
    mask = torch.ones_like(fixed)
    mask[..., 14:34, 14:34] = 0
    model = make_model(losses=dict(similarity=dict(type='MSE')))
    inputs = dict(fixed=fixed, moving=moving)
    errors = []
    for extra in ({}, {which: mask}):
        found = optimise(model, {**inputs, **extra}, dict(levels=LEVELS)).displacement
        errors.append(float((found - true).norm(dim=1)[..., 4:-4, 4:-4].mean()))
    assert errors[1] < 0.8 * errors[0]


def test_several_channels():
    """What one channel does not show the other one does."""
    fixed, moving, true = make_pair()
    blank = torch.zeros_like(fixed)
    pair = torch.cat([blank, fixed], 1), torch.cat([blank, moving], 1)
    model = make_model(channels=2, losses=dict(similarity=dict(type='MSE')))
    found = register(*pair, model=model).displacement
    alone = register(fixed, moving, model=make_model(losses=dict(similarity=dict(type='MSE')))).displacement
    torch.testing.assert_close(found, alone, atol=1e-3, rtol=0)


def test_velocity_with_an_integrator():
    fixed, moving, true = make_pair()
    model = REGISTRARS.build(
        dict(
            type='Registrar',
            backbone=dict(type='ImagePyramid', levels=1, any_size=True),
            flow_head=dict(type='FreeField', update='add'),
            integrator=dict(type='ScalingSquaring', steps=5, padding='border'),
            losses=dict(
                similarity=dict(type='LNCC', window=5), smoothness=dict(type='Diffusion', penalty='l2', weight=0.01)
            ),
            ndim=2,
        )
    )
    result = register(fixed, moving, model=model)
    assert (result.displacement - true).norm() < 0.5 * true.norm() and result.folds == [0.0]
    with pytest.raises(ConfigError, match="'compose' to begin"):
        register(fixed, moving, model=model, start=true)


def test_coarser_field_than_images():
    fixed, moving, true = make_pair()
    result = register(fixed, moving, levels=[dict(scale=2, iterations=15), dict(scale=1, iterations=15, field=2)])
    assert result.displacement.shape == true.shape and (result.displacement - true).norm() < 0.6 * true.norm()


def test_levels_follow_millimetres():
    stages = make_stages(
        Settings.parse(dict(levels=[dict(spacing=s, iterations=1) for s in (8, 4, 2, 1)])),
        Grid((128, 128, 9), (1.5, 1.5, 10.0)),
    )
    assert [stage.images.size for stage in stages] == [(25, 25, 9), (49, 49, 9), (96, 96, 9), (128, 128, 9)]
    assert [round(stage.field.finest, 1) for stage in stages] == [7.9, 4.0, 2.0, 1.5]
    first, last = stages[0], stages[-1]
    assert last.sigma(2.0) == pytest.approx([2, 2, 0.3]) and last.mobility(2.0) == pytest.approx([1, 1, 0.0225])
    assert first.images.spacing[0] * 24 == pytest.approx(1.5 * 127)
    coarse = Settings.parse(dict(levels=[dict(spacing=2, iterations=1), dict(spacing=1, iterations=1)]))
    assert len(make_stages(coarse, Grid((40, 40), (2.0, 2.0)))) == 1


@pytest.mark.parametrize('spacing, levels, finest', [(2.0, 1, 2.0), (1.5, 2, 2.0), (1.0, 2, 2.0), (0.5, 2, 2.0)])
def test_coarse_field_keeps_what_the_level_before_resolved(spacing, levels, finest):
    settings = Settings.parse(dict(levels=[dict(spacing=2, iterations=1), dict(spacing=1, iterations=1, field=2)]))
    stages = make_stages(settings, Grid((81, 81), (spacing, spacing)))
    assert len(stages) == levels and stages[-1].field.finest == pytest.approx(finest, rel=0.05)


def test_level_ends_when_nothing_falls_any_more():
    fixed, moving, _ = make_pair()
    levels = [dict(scale=1, iterations=200)]
    result = register(fixed, moving, levels=levels, last_step=0.0, tolerance=0.02, patience=5)
    assert 10 <= len(result.curves['loss']) < 200


def test_unfold_mends_folds_and_leaves_the_rest():
    field = torch.zeros(1, 2, 40, 40)
    field[:, 0, 20:] = -4.0
    assert folded(field).any()
    mended = unfold(field, 200)
    assert not folded(mended).any()
    assert torch.equal(mended[..., :2, :], field[..., :2, :]) and torch.equal(unfold(field, 0), field)


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(levels=[]), 'levels is'),
        (dict(levels=[dict(scale=1)]), 'iterations is missing'),
        (dict(levels=[dict(scale=1, spacing=1, iterations=1)]), 'both or neither'),
        (dict(levels=[dict(scale=1, iterations=1, smoothing=2)]), "'smoothing'"),
        (dict(step=-1), r'step is -1'),
        (dict(rule='newton'), "rule is 'newton'"),
        (dict(speed=2), "'speed'"),
    ],
)
def test_settings_are_refused_in_one_sentence(change, message):
    fixed, moving, _ = make_pair((16, 16))
    with pytest.raises(ConfigError, match=message):
        register(fixed, moving, **change)


def test_inputs_are_refused_in_one_sentence():
    fixed, moving, true = make_pair((16, 16))
    with pytest.raises(DataError, match='start has the shape'):
        register(fixed, moving, start=true[..., :-1])
    with pytest.raises(DataError, match='spacing is'):
        register(fixed, moving, spacing=(1.0, 0.0))
    with pytest.raises(DataError, match='moving has the shape'):
        register(fixed, moving[..., :-1])
    model = make_model()
    model.objective = None
    with pytest.raises(ConfigError, match='model.losses is missing'):
        register(fixed, moving, model=model)


def test_symmetric_field_and_inverse_are_optimised_together():
    fixed, moving, true = make_pair()
    losses = dict(similarity=dict(type='LNCC', window=5, direction='both'))
    result = register(fixed, moving, model=make_model(losses=losses, symmetric=True))
    assert (result.displacement - true).norm() < 0.5 * true.norm()
    swapped = register(moving, fixed, model=make_model(losses=losses, symmetric=True))
    inner = (result.displacement - swapped.inverse_displacement)[..., 4:-4, 4:-4].norm(dim=1).mean()
    assert inner < 0.3 * true.norm(dim=1).mean()


def test_slopes_are_the_derivatives_by_the_increment():
    """Both directions against finite differences of the losses along one smooth increment."""
    head = FLOW_HEADS.build(dict(type='FreeField', features=ImagePyramid(levels=1, ndim=2).spec, symmetric=True))
    generator = torch.Generator().manual_seed(3)
    smooth = [gaussian_filter(torch.randn(1, 2, 40, 44, generator=generator).double(), 5.0) * 10 for _ in range(2)]
    images = [gaussian_filter(torch.randn(1, 1, 40, 44, generator=generator).double(), 4.0) for _ in range(2)]
    field, increment = smooth
    inverse = invert(field, 100, 1e-9)[0]
    u, w = field.clone().requires_grad_(), inverse.clone().requires_grad_()
    weight = torch.zeros_like(images[0])
    weight[..., 10:-10, 10:-10] = 1

    def forward(u):
        return (warp(images[0], u, padding='border') * weight * images[1]).sum()

    def backward(w):
        return (warp(images[1], w, padding='border') * weight * images[0]).sum()

    head.reset(field)
    found = head.increment_gradient(torch.autograd.grad(forward(u), u)[0], torch.autograd.grad(backward(w), w)[0])
    h = 1e-3
    ahead, behind = (compose(field, sign * h * increment, 'border') for sign in (1, -1))
    slope = (forward(ahead) - forward(behind)) / (2 * h)
    slope = slope + (backward(invert(ahead, 100, 1e-9)[0]) - backward(invert(behind, 100, 1e-9)[0])) / (2 * h)
    assert float((found * increment).sum()) == pytest.approx(float(slope), rel=0.05)


def test_losses_are_told_the_voxel_size_of_each_level():
    fixed, moving, _ = make_pair()
    model = make_model(losses=dict(similarity=dict(type='LNCC', window=5, isotropic=True)))
    loss = model.objective.terms['similarity'].at(0)
    seen = []
    loss.register_forward_pre_hook(lambda _, args, kwargs: seen.append(tuple(kwargs['spacing'])), with_kwargs=True)
    levels = [dict(spacing=4, iterations=1), dict(spacing=1, iterations=1)]
    register(fixed, moving, model, levels=levels, spacing=(1.0, 2.0))
    coarse, fine = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    assert coarse and fine
    assert all(one == pytest.approx((4, 4), rel=0.1) for one in coarse) and set(fine) == {(1.0, 2.0)}
