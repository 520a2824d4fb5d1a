"""All numbers of one pair come from one function."""

import numpy as np
import pytest

from mmreg.evaluation.pair import AfterAndBefore, Measured, measure_pair

SHAPE = (12, 14, 16)


@pytest.fixture
def maps():
    target = np.zeros(SHAPE, np.int16)
    target[4:8, 4:8, 4:8] = 1
    target[8:10, 8:10, 8:10] = 7
    return AfterAndBefore(target, target, np.roll(target, 2, axis=0))


def test_everything_at_once(maps):
    points = np.array([[0.0, 0, 0], [10, 0, 0]])
    places = AfterAndBefore(points, points + [0, 3, 4], points + [0, 6, 8])
    numbers = measure_pair(
        'case', Measured(np.zeros((3, *SHAPE), np.float32), (1.0, 1.0, 2.0), maps, places, maps.after)
    )
    summary = numbers.summary
    assert summary['dice'] == {
        'after': 1.0, 'before': pytest.approx(0.25),
        'items': {'1': {'after': 1.0, 'before': 0.5}, '7': {'after': 1.0, 'before': 0.0}},
    }  # fmt: skip
    assert summary['hd95']['after'] == 0 < summary['hd95']['before']
    assert (summary['tre']['after'], summary['tre']['before']) == (5.0, 10.0)
    assert summary['sdlogj'] == {'after': 0.0, 'before': 0.0}
    assert numbers.folds_percent == 0
    assert {body.label for body in numbers.bodies} == {1, 7}
    assert {row.case_id for row in numbers.rows} == {'case'}
    assert 'rigid_residual' in summary


def test_only_the_field():
    numbers = measure_pair('case', Measured(np.zeros((2, 5, 6), np.float32), (1.0, 1.0)))
    assert [row.metric for row in numbers.rows][:2] == ['sdlogj', 'folds_percent']
    assert {row.metric.partition('_')[0] for row in numbers.rows[2:]} == {'jacobian', 'displacement'}
    assert numbers.bodies is None


def test_chosen_labels(maps):
    numbers = measure_pair(
        'case', Measured(np.zeros((3, *SHAPE), np.float32), (1.0,) * 3, maps, bodies=maps.after, labels=[7])
    )
    assert {row.item for row in numbers.rows} == {'7', ''}
