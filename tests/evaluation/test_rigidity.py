"""Rigidity of bodies: known motions are found, difficult labels give numbers or nothing."""

import math

import pytest
import torch

from mmreg.errors import DataError
from mmreg.evaluation.functional.rigidity import body_rigidity, rotation_angle, volume_change
from mmreg.evaluation.metrics.label_metrics import DiceMetric
from mmreg.evaluation.metrics.rigidity_metrics import RigidityMetric
from mmreg.spatial import identity_grid, rotation_matrix


def labelled(size, *boxes):
    labels = torch.zeros(size, dtype=torch.int64)
    for value, box in boxes:
        labels[box] = value
    return labels


def turned(size, degrees, shift):
    """A rotation about the grid's centre and a shift, as a displacement."""
    ndim = len(size)
    angles = torch.tensor([[math.radians(degrees)]] if ndim == 2 else [[0.0, 0.0, math.radians(degrees)]]).double()
    grid = identity_grid(size).double()
    centre = torch.tensor([(n - 1) / 2 for n in size]).double().view(-1, *[1] * ndim)
    rotation = rotation_matrix(angles.double())[0]
    move = torch.tensor(shift).double().view(-1, *[1] * ndim)
    return torch.tensordot(rotation, grid - centre, 1) + centre + move - grid


@pytest.mark.parametrize('size', [(16, 18), (14, 16, 12)])
def test_a_rigid_motion_is_found_exactly(size):
    ndim = len(size)
    centre = tuple(slice(n // 2 - 3, n // 2 + 3) for n in size)
    (body,) = body_rigidity(turned(size, 8.0, [1.0] * ndim), labelled(size, (20, centre)))
    assert body.label == 20 and body.voxels == 6**ndim
    assert body.rotation_deg == pytest.approx(8.0, abs=1e-5)
    assert body.translation_mm == pytest.approx(math.sqrt(ndim), abs=1e-6)
    assert max(body.residual_mm, body.orthonormality, body.properness) < 1e-8


def test_uniform_scaling_has_closed_forms():
    size, s = (14, 14, 14), 1.1
    grid = identity_grid(size).double()
    (body,) = body_rigidity((s - 1) * grid, labelled(size, (1, (slice(4, 10),) * 3)), spacing=(2.0, 2.0, 2.0))
    assert body.orthonormality == pytest.approx(3 * (s**2 - 1) ** 2)
    assert body.properness == pytest.approx((s**3 - 1) ** 2)
    offsets = torch.arange(6) - 2.5
    square = 3 * float(offsets.square().mean())
    assert body.residual_mm == pytest.approx(2.0 * (s - 1) * math.sqrt(square))


def test_small_rotations_and_voxel_sizes():
    assert rotation_angle(rotation_matrix(torch.tensor([[0.0, 1e-6, 0.0]]).double())[0]) == pytest.approx(
        math.degrees(1e-6)
    )
    size = (12, 12, 12)
    shift = torch.zeros(3, *size)
    shift[2] = 1.0
    (body,) = body_rigidity(shift, labelled(size, (5, (slice(3, 9),) * 3)), spacing=(1.0, 1.0, 3.0))
    assert body.translation_mm == pytest.approx(3.0) and body.rotation_deg < 1e-3


def test_difficult_labels():
    size = (8, 8, 8)
    field = torch.randn(3, *size)
    assert body_rigidity(field, labelled(size)) == []
    one, border = labelled(size, (3, (4, 4, 4))), labelled(size, (4, (slice(0, 3), slice(0, 8), slice(6, 8))))
    for labels in (one, border):
        (body,) = body_rigidity(field, labels)
        assert all(
            math.isfinite(v) for v in (body.rotation_deg, body.residual_mm, body.orthonormality, body.properness)
        )
    (body,) = body_rigidity(field, one)
    assert body.residual_mm == 0 and 'label 3 has 1 voxel' in body.remark
    assert body_rigidity(field, one, classes=[7]) == []
    with pytest.raises(DataError, match='one grid'):
        body_rigidity(field, torch.zeros(8, 8, 9, dtype=torch.int64))


def test_volume_change():
    before, after = labelled((10, 10), (1, (slice(0, 10), slice(0, 1)))), labelled((10, 10), (1, (0, slice(0, 8))))
    assert volume_change(after, before, [1]) == [pytest.approx(20.0)]
    assert math.isnan(volume_change(after, before, [2])[0])


def sample(**extra):
    size = (8, 8, 8)
    labels = labelled(size, (2, (slice(2, 6),) * 3))[None]
    return {
        'case_id': 'a',
        'spacing': (1.0, 1.0, 1.0),
        'pred': {'displacement': torch.zeros(3, *size)},
        'moving_labels': labels,
        'fixed_labels': labels,
        **extra,
    }


def test_metric_scores_every_body():
    metric = RigidityMetric(rigid_dice=True)
    metric.process({}, [sample()])
    found = metric.evaluate(1)
    assert found['reg/rigid_residual'] == 0 and found['reg/volume_change'] == 0
    assert 'reg/rigid_dice' in found


def test_metrics_of_a_pair_without_labels():
    bare = {key: value for key, value in sample().items() if not key.endswith('labels')}
    metric = RigidityMetric()
    metric.process({}, [bare, sample(moving_labels=torch.zeros(1, 8, 8, 8, dtype=torch.int64))])
    assert not metric.evaluate(2)
    half = {key: value for key, value in sample().items() if key != 'fixed_labels'}
    dice = DiceMetric(unlabelled='skip')
    dice.process({}, [half, sample()])
    assert dice.evaluate(2)['reg/dice'] == 1.0
    with pytest.raises(DataError, match='fixed_labels'):
        DiceMetric().process({}, [half])
