"""A preset may trust the headers where a search finds hardly any motion."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import mmreg.registration.affine
from mmreg.io import Geometry, Volume
from mmreg.registration.alignment import align, mean_motion

GRID = Geometry.from_parts((8, 9, 10), (1.0, 2.0, 3.0))


@dataclasses.dataclass
class Found:
    """What the search returns, as far as an alignment looks at it."""

    matrix: np.ndarray
    curves: tuple = ()
    warnings: tuple = ()


def shift(length):
    matrix = np.eye(4)
    matrix[:3, 3] = length * np.array([2, -1, 2]) / 3
    return matrix


def test_mean_motion_of_shift_and_rotation():
    assert mean_motion(shift(6.0), GRID) == pytest.approx(6.0)
    assert mean_motion(np.eye(4), GRID) == 0
    half_turn = np.diag([-1.0, -1.0, 1.0, 1.0])  # corners and centre go to the other side of the third axis
    ends = GRID.voxel_to_world(np.array([[i, j, 0] for i in (0, 7) for j in (0, 8)]))
    middle = GRID.voxel_to_world(np.array([[3.5, 4.0, 0.0]]))
    length = 2 * np.hypot(*np.vstack([ends, ends, middle])[:, :2].T)
    assert mean_motion(half_turn, GRID) == pytest.approx(length.mean())


@pytest.mark.parametrize(
    ('wanted', 'length', 'kept'), [('auto', 3.0, True), ('auto', 7.0, False), ('rigid', 3.0, False)]
)
def test_small_motions_leave_the_headers_alone(wanted, length, kept, monkeypatch):
    monkeypatch.setattr(mmreg.registration.affine, 'register_affine', lambda *args, **kwargs: Found(shift(length)))
    volume = Volume(np.random.default_rng(0).random(GRID.shape, dtype=np.float32), GRID)
    there = Geometry(GRID.shape, shift(length) @ GRID.affine)  # where the search says
    image = SimpleNamespace(volume=volume, geometry=GRID, unknown=None)
    moved = SimpleNamespace(volume=Volume(volume.array, there), geometry=there, unknown=None)
    pair = SimpleNamespace(fixed=image, moving=moved, images={'fixed': image, 'moving': moved}, masks={})
    found = align(pair, wanted, {'transform': 'rigid', 'trust_headers': 5.0})
    assert (found.matrix is None) == kept
    assert ('used' in found.record) == kept
    assert found.record['mean_motion_mm'] == pytest.approx(length)
