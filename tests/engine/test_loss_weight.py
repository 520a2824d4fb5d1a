"""Weights of losses that change while training."""

from types import SimpleNamespace

import pytest

from mmreg.engine.hooks import LossWeightHook
from mmreg.errors import ConfigError
from mmreg.models.objective import Objective


def runner(step):
    objective = Objective({'similarity': {'type': 'MSE'}, 'group': {'type': 'Cycle', 'weight': 0.0}})
    return SimpleNamespace(model=SimpleNamespace(objective=objective), iter=step, train_dataloader=range(10))


@pytest.mark.parametrize(('step', 'weight'), [(0, 0.0), (10, 0.0), (15, 20.0), (20, 40.0), (35, 40.0)])
@pytest.mark.parametrize('by_epoch', [True, False])
def test_weight_follows_its_points(step, weight, by_epoch):
    points = [(1, 0.0), (2, 40.0)] if by_epoch else [(10, 0.0), (20, 40.0)]
    one = runner(step)
    LossWeightHook({'group': points}, by_epoch).before_train_iter(one, 0)
    terms = one.model.objective.terms
    assert terms['group'].config.weight == pytest.approx(weight)
    assert terms['similarity'].config.weight == 1.0


def test_bad_points_and_names_are_refused():
    for points in ([], [(2, 1.0), (1, 0.0)]):
        with pytest.raises(ConfigError, match='ascending'):
            LossWeightHook({'group': points})
    with pytest.raises(ConfigError, match='other'):
        LossWeightHook({'other': [(0, 1.0)]}).before_train_iter(runner(0), 0)
