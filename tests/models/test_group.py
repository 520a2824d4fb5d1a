"""Training on groups of images: pairs around a circle, and the loss that closes it."""

import pytest
import torch

from mmreg.errors import ConfigError, DataError
from mmreg.models.losses.group_cycle import GroupCycle
from mmreg.registry import REGISTRARS
from mmreg.spatial import compose, invert
from tests.spatial.fields import smooth


def shifts(*values, size=(9, 8)):
    return torch.stack([torch.tensor(v).view(-1, *[1] * len(size)).expand(len(v), *size) for v in values])


def test_shifts_that_add_up_close_the_circle():
    forward = shifts([1.0, 0.0], [0.0, 2.0], [-1.0, -2.0])
    assert GroupCycle()(forward, -forward) == 0
    open_ended = shifts([1.0, 0.0], [0.0, 2.0], [-1.0, -1.0])
    assert GroupCycle()(open_ended, -open_ended).item() == pytest.approx(1.0)
    assert GroupCycle(unit='half_extent')(open_ended, -open_ended).item() == pytest.approx((2 / 9) ** 2)
    assert GroupCycle()(open_ended, -forward).item() == pytest.approx(0.5), 'the mean of both ways'


@pytest.mark.parametrize('size', [(16, 14), (10, 12, 9)])
def test_fields_meet_their_own_order(size):
    """u_31 is the inverse of u_12 followed by u_23: zero in this order, not in the other."""
    one, two = smooth(size, 0.8, 1), smooth(size, 0.8, 2)
    three, _ = invert(compose(two, one, 'border'), 200, 1e-9)
    fields = torch.cat([one, two, three])
    backward = torch.cat([invert(f[None], 200, 1e-9)[0] for f in fields])
    right = GroupCycle()(fields, backward)
    wrong = GroupCycle()(fields[[1, 0, 2]], backward[[1, 0, 2]])
    assert right < 1e-2 and wrong > 3 * right


def test_groups_of_a_batch_are_apart_and_a_mask_is_that_of_the_first_image():
    closed, ended = shifts([1.0, 0.0], [0.0, 2.0], [-1.0, -2.0]), shifts([1.0, 0.0], [0.0, 2.0], [-1.0, 0.0])
    both = torch.cat([closed, ended])
    assert 0 < GroupCycle()(both, -both) < 4
    mask = torch.zeros(6, 1, 9, 8)
    mask[0] = 1
    assert GroupCycle()(both, -both, mask=mask) == 0


@pytest.mark.parametrize('size', [(5, 4), (3, 4, 3)])
def test_gradient(size):
    fields = torch.cat([smooth(size, 0.4, k) + 0.11 for k in range(3)]).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: GroupCycle()(f, -0.9 * f), (fields,))


def test_bad_groups_are_refused():
    with pytest.raises(ConfigError, match='group=1'):
        GroupCycle(group=1)
    with pytest.raises(ConfigError, match='unit'):
        GroupCycle(unit='mm')
    with pytest.raises(DataError, match='multiple of 3'):
        GroupCycle()(torch.zeros(4, 2, 8, 8), torch.zeros(4, 2, 8, 8))


def model(**changes):
    norm = {'type': 'GN', 'num_groups': 2}
    config = {
        'type': 'GroupRegistrar',
        'ndim': 2,
        'backbone': {'type': 'SITRegEncoder', 'channels': (4, 6), 'norm_cfg': norm},
        'flow_head': {'type': 'SITRegHead', 'channels': (4, 6), 'norm_cfg': norm},
        'losses': {'similarity': {'type': 'MSE', 'direction': 'both'}, 'group': {'type': 'GroupCycle', 'weight': 40.0}},
    }
    return REGISTRARS.build({**config, **changes})


def test_pairs_go_around_the_moving_images():
    images = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 12, 12)
    points = [torch.full((2, 2), float(k)) for k in range(6)]
    inputs = {'fixed': torch.zeros_like(images), 'moving': images, 'moving_landmarks': points, 'fixed_labels': images}
    pairs = model().training_pairs(inputs)
    assert set(pairs) == {'fixed', 'moving', 'fixed_landmarks', 'moving_landmarks'}
    assert pairs['fixed'][:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert pairs['moving'][:, 0, 0, 0].tolist() == [1, 2, 0, 4, 5, 3]
    assert [int(p[0, 0]) for p in pairs['moving_landmarks']] == [1, 2, 0, 4, 5, 3]


def test_it_trains_on_groups_and_predicts_pairs(pair):
    registrar = model()
    losses = registrar(pair((13, 10), batch=3), mode='loss')
    (losses['loss_similarity'] + losses['loss_group']).backward()
    assert losses['group'] > 0 and all(p.grad.isfinite().all() for p in registrar.parameters())
    assert len(registrar(pair((13, 10), batch=2), mode='predict')) == 2
    with pytest.raises(DataError, match='multiple of 3'):
        registrar(pair((13, 10), batch=2), mode='loss')
    with pytest.raises(ConfigError, match='group'):
        model(group=1)
