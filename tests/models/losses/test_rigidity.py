"""Rigidity losses: zero for rigid motions, closed forms, labels of every kind, gradients."""

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.models.losses.diffusion import Diffusion
from mmreg.models.losses.rigid_bodies import RigidDice, RigidField, bounding_box, euler_angles
from mmreg.models.losses.rigidity import Linearity, OrthonormalityCondition, PropernessCondition
from mmreg.spatial import rotation_matrix

from .helpers_fields import SavedBytes, blocks, gradients_agree, random_field, rigid_field

CONDITIONS = [OrthonormalityCondition, PropernessCondition, Linearity]
SIZE = (18, 20, 16)


def two_bodies(size=SIZE):
    """Labels 17 and 20, away from the border."""
    labels = torch.zeros(1, 1, *size, dtype=torch.long)
    inner = [slice(5, n - 5) for n in size]
    labels[(0, 0, *inner)] = 17
    inner[0] = slice(size[0] // 2, size[0] - 5)
    labels[(0, 0, *inner)] = 20
    return labels


def bodies(**options):
    return [RigidField(min_voxels=10, **options), RigidDice(min_voxels=10, **options)]


@pytest.mark.parametrize('size', [(22, 24), SIZE])
@pytest.mark.parametrize('frame', ['moving', 'fixed'])
def test_rigid_motion_costs_nothing(size, frame):
    field = rigid_field(size, (0.15, -0.1, 0.1), (0.5, -0.7, 0.4)[: len(size)])
    labels = two_bodies(size)
    for part in CONDITIONS:
        assert part(label_frame=frame)(field, labels).item() < 1e-8
    assert RigidField(min_voxels=10, label_frame=frame)(field, labels).item() < (1e-3 if frame == 'fixed' else 0.05)


@pytest.mark.parametrize('size', [(22, 24), SIZE])
def test_rigid_dice_of_a_rigid_motion_is_that_of_the_interpolated_label_with_itself(size):
    field = rigid_field(size, (0.15, -0.1, 0.1), (0.5, -0.7, 0.4)[: len(size)])
    loss, labels = RigidDice(min_voxels=10), two_bodies(size)
    least = [1 - (b.warped.square().sum() / b.warped.sum()).item() for b in loss.bodies(field[0], labels[0])]
    assert loss(field, labels).item() == pytest.approx(sum(least) / len(least), abs=2e-3)


def test_identity_costs_nothing():
    field, labels = torch.zeros(1, 3, *SIZE), two_bodies()
    for loss in [*(part() for part in CONDITIONS), *bodies()]:
        assert loss(field, labels).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize('size', [(22, 24), SIZE])
@pytest.mark.parametrize('border', ['one_sided', 'zeros', 'crop'])
def test_uniform_scaling_has_closed_forms(size, border):
    grid = torch.stack(torch.meshgrid(*[torch.arange(n).double() - n / 2 for n in size], indexing='ij'))[None]
    n, s, labels = len(size), 0.9, two_bodies(size)
    field = (s - 1) * grid
    assert PropernessCondition(border=border)(field, labels).item() == pytest.approx((s**n - 1) ** 2)
    assert OrthonormalityCondition(border=border)(field, labels).item() == pytest.approx(n * (s**2 - 1) ** 2)
    assert Linearity()(field, labels).item() == pytest.approx(0, abs=1e-20)


def test_linearity_of_a_quadratic_field():
    grid = torch.stack(torch.meshgrid(*[torch.arange(n).double() for n in SIZE], indexing='ij'))[None]
    field = torch.zeros_like(grid)
    field[:, 0] = 0.01 * grid[:, 0] * grid[:, 1]
    assert Linearity(label_frame='fixed')(field, two_bodies()).item() == pytest.approx(2 * 0.01**2)
    assert Linearity('mm', 2.0, 'fixed')(field, two_bodies()).item() == pytest.approx(2 * 0.01**2 / 4)


def test_bodies_moving_apart_stay_rigid_but_not_smooth():
    labels = torch.zeros(1, 1, 30, 12, 12, dtype=torch.long)
    labels[:, :, 4:10, 3:9, 3:9], labels[:, :, 20:26, 3:9, 3:9] = 1, 2
    field = torch.zeros(1, 3, 30, 12, 12).double()
    field[:, 0] = torch.linspace(-8, 8, 30).clamp(-2, 2)[:, None, None]  # constant inside both bodies
    assert OrthonormalityCondition(label_frame='fixed')(field, labels).item() == 0
    assert PropernessCondition(label_frame='fixed')(field, labels).item() == 0
    assert RigidField(label_frame='fixed')(field, labels).item() == pytest.approx(0, abs=1e-6)
    assert Diffusion()(field).item() > 1e-3


def test_anisotropic_voxels_need_the_spacing():
    """A rotation in mm is none in voxels of 1 x 1 x 3 mm."""
    size, step = (16, 16, 12), torch.tensor([1.0, 1.0, 3.0]).double()
    centre = torch.tensor([7.5, 7.5, 5.5]).double() * step
    rotation = rotation_matrix(torch.tensor([[0.1, 0.15, 0.0]]).double())[0]
    points = torch.stack(torch.meshgrid(*[torch.arange(n).double() for n in size], indexing='ij'), -1) * step
    field = (((points - centre) @ rotation.T + centre - points) / step).movedim(-1, 0)[None]
    labels = torch.zeros(1, 1, *size, dtype=torch.long)
    labels[..., 5:11, 5:11, 4:8] = 1
    spacing = (1.0, 1.0, 3.0)
    for part in CONDITIONS:
        assert part('mm', spacing)(field, labels).item() < 1e-20
    assert OrthonormalityCondition()(field, labels).item() > 1e-2
    in_mm, in_voxels = (RigidField(spacing=s, label_frame='fixed')(field, labels).item() for s in (spacing, None))
    assert in_mm < 1e-6 < 0.01 < in_voxels


@pytest.mark.parametrize('size', [(7, 8), (6, 7, 5)])
@pytest.mark.parametrize('part', CONDITIONS)
@pytest.mark.parametrize('masked', [False, True])
def test_gradient_of_the_conditions(size, part, masked):
    field = random_field(size, 0.8, batch=2).requires_grad_()
    labels = blocks(size, 3, batch=2)
    mask = torch.rand(2, 1, *size, dtype=torch.float64) if masked else None
    for options in ({}, {'label_frame': 'fixed'}):
        assert gradients_agree(lambda u, o=options: part(**o)(u, labels, mask), field)


@pytest.mark.parametrize('size', [(9, 10), (8, 9, 7)])
@pytest.mark.parametrize('penalty', ['distance', 'l2'])
def test_gradient_of_the_rigid_field(size, penalty):
    field = random_field(size, 0.5, batch=2).requires_grad_()
    labels = blocks(size, 3, batch=2)
    through = RigidField(penalty, label_frame='fixed', min_voxels=4, through_motion=True)
    assert gradients_agree(lambda u: through(u, labels), field)
    plain = RigidField(penalty, label_frame='fixed', min_voxels=4)
    torch.testing.assert_close(plain(field, labels), through(field, labels))


def test_gradient_of_the_rigid_dice_with_a_fixed_counterpart(monkeypatch):
    """The rigidly moved label is a constant: numerical gradients must not move it either."""
    field = random_field((9, 10), 0.5)
    labels = two_bodies((12, 13))[:, :, 1:10, 1:11]
    loss = RigidDice(min_voxels=2)
    (body, *_) = loss.bodies(field[0], labels[0])
    monkeypatch.setattr(RigidDice, 'rigid_label', lambda self, b, m, box: 0.8 * b.source[box])
    monkeypatch.setattr(
        'mmreg.models.losses.rigid_bodies.bounding_box', lambda inside, margin: (slice(0, 9), slice(0, 10))
    )
    assert body.warped.sum() > 2
    assert gradients_agree(lambda u: loss(u, labels), field.requires_grad_())


@pytest.mark.parametrize('centre', ['origin', 'mass'])
def test_rigid_dice_search_improves_on_its_start(centre):
    field = rigid_field(SIZE, (0.1, 0.0, 0.05), (0.4, 0.3, -0.2)) + random_field(SIZE, 0.4)
    loss = RigidDice(min_voxels=10, centre=centre)
    found = list(loss.bodies(field[0], two_bodies()[0]))
    motion, whole = loss.motions(field[0], found, None), tuple(slice(0, n) for n in SIZE)
    for k, body in enumerate(found):
        motions = motion.body(k), loss.closest_motion(body, motion.body(k), whole)
        before, after = ((body.warped - loss.rigid_label(body, m, whole)).square().sum() for m in motions)
        assert after < before


def test_rigid_dice_does_not_depend_on_the_margin():
    field = rigid_field(SIZE, (0.1, 0.0, 0.05), (0.4, 0.3, -0.2)) + 0.5 * random_field(SIZE, 0.4)
    values = [RigidDice(min_voxels=10, margin=m)(field, two_bodies()).item() for m in (4, 40)]
    assert values[0] == pytest.approx(values[1], abs=1e-6)


def test_rigid_dice_works_without_gradients():
    field = rigid_field((20, 20), (0.1,), (0.5, 0.2))
    with torch.no_grad():
        value = RigidDice(min_voxels=10)(field, two_bodies((20, 20)))
    assert 0 <= value.item() < 0.15 and not value.requires_grad


@pytest.mark.parametrize('labels', [None, torch.zeros(2, 1, 8, 8, 8, dtype=torch.long)], ids=['none', 'background'])
@pytest.mark.parametrize('loss', [*(part() for part in CONDITIONS), *bodies()])
def test_nothing_labelled_is_zero_with_a_gradient(loss, labels):
    field = torch.randn(2, 3, 8, 8, 8, requires_grad=True)
    value = loss(field, labels)
    value.backward()
    assert value.item() == 0 and field.grad.isfinite().all() and not field.grad.any()


@pytest.mark.parametrize('shape', ['one voxel', 'cut by the border', 'moved out', 'one body'])
def test_awkward_bodies_are_finite(shape):
    labels = torch.zeros(1, 1, 10, 10, 10, dtype=torch.long)
    field = 0.3 * torch.randn(1, 3, 10, 10, 10)
    if shape == 'one voxel':
        labels[0, 0, 4, 5, 6] = 3
    elif shape == 'cut by the border':
        labels[0, 0, :3, :4, 8:] = 3
    else:
        labels[0, 0, 3:7, 3:7, 3:7] = 3
    field = field + 30 if shape == 'moved out' else field
    field.requires_grad_()
    for loss in [*(part() for part in CONDITIONS), RigidField(min_voxels=0), RigidDice(min_voxels=0, num_iterations=5)]:
        field.grad = None
        value = loss(field, labels)
        value.backward()
        assert value.isfinite() and field.grad.isfinite().all(), type(loss).__name__


def test_samples_of_a_batch_weigh_the_same():
    fields = torch.cat([0.5 * random_field(SIZE, seed=s) for s in range(2)])
    labels = torch.cat([two_bodies(), blocks(SIZE, 2)])
    for loss in [*(part() for part in CONDITIONS), *bodies()]:
        alone = torch.stack([loss(fields[n : n + 1], labels[n : n + 1]) for n in range(2)]).mean()
        torch.testing.assert_close(loss(fields, labels), alone)


def test_drawn_points_follow_the_seed():
    field, labels = random_field(SIZE, 0.5), two_bodies()
    loss = RigidField(num_samples=20, seed=3, min_voxels=10)
    torch.testing.assert_close(loss(field, labels), loss(field, labels))
    assert loss(field, labels) != RigidField(num_samples=20, seed=4, min_voxels=10)(field, labels)
    near = RigidField(num_samples=20000, seed=3, min_voxels=10)(field, labels)
    torch.testing.assert_close(near, RigidField(min_voxels=10)(field, labels), rtol=0.02, atol=0)


def test_detached_labels_change_the_gradient_not_the_value():
    field, labels = random_field(SIZE, 0.4).requires_grad_(), two_bodies()
    values = [OrthonormalityCondition(detach_labels=d)(field, labels) for d in (False, True)]
    grads = [torch.autograd.grad(v, field)[0] for v in values]
    torch.testing.assert_close(*values)
    assert not torch.allclose(*grads)


def test_euler_angles_undo_the_rotation_matrix():
    angles = torch.tensor([[0.3, -0.4, 0.7], [-0.1, 0.2, -1.2]]).double()
    for given, rotation in zip(angles, rotation_matrix(angles)):
        torch.testing.assert_close(euler_angles(rotation), given)
    plane = torch.tensor([[0.6]]).double()
    torch.testing.assert_close(euler_angles(rotation_matrix(plane)[0]), plane[0])


def test_bounding_box():
    inside = torch.zeros(6, 7, dtype=torch.bool)
    inside[2, 5] = inside[4, 3] = True
    assert bounding_box(inside, 1) == (slice(1, 6), slice(2, 7))


@pytest.mark.parametrize('part', CONDITIONS)
def test_conditions_save_nothing_but_their_inputs(part):
    field, labels = torch.randn(1, 3, 12, 12, 12, requires_grad=True), blocks((12, 12, 12), 3)
    with SavedBytes(field, labels) as saved:
        value = part()(field, labels)
    assert saved.total <= 4096
    value.backward()


def test_rigid_field_saves_what_it_says():
    field, labels = torch.randn(1, 3, *SIZE, requires_grad=True), two_bodies()
    volume = 4 * field[0, 0].numel()
    with SavedBytes(field, labels) as saved:
        RigidField(min_voxels=10)(field, labels)
    assert saved.total <= 8 * volume


def test_refusals():
    with pytest.raises(ConfigError, match='label_frame'):
        OrthonormalityCondition(label_frame='mri')
    with pytest.raises(ConfigError, match='border'):
        PropernessCondition(border='wrap')
    with pytest.raises(ConfigError, match='penalty'):
        RigidField(penalty='l3')
    with pytest.raises(ConfigError, match='centre'):
        RigidDice(centre='nose')
    with pytest.raises(ConfigError, match='num_samples'):
        RigidDice(num_samples=0)
