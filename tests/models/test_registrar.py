"""The registrar: modes, padding, objective, and what it refuses."""

import pytest
import torch

from mmreg.errors import ConfigError, DataError
from mmreg.models.padding import crop, pad, padding_to
from mmreg.models.registrars.registrar import move_points
from mmreg.spatial import warp, warp_labels
from mmreg.structures import RegSample

SIZES = {2: (10, 13), 3: (9, 8, 11)}


@pytest.mark.parametrize('ndim', [2, 3])
def test_tensor_mode_returns_fields_on_the_fixed_grid(build, pair, ndim):
    fields = build(ndim=ndim)(pair(SIZES[ndim], batch=2))
    assert fields.displacement.shape == (2, ndim, *SIZES[ndim])
    assert len(fields.displacements) == len(fields.velocities) == 2


@pytest.mark.parametrize('ndim', [2, 3])
def test_every_parameter_is_trained(build, pair, ndim):
    model = build(ndim=ndim)
    result = model(pair(SIZES[ndim]), mode='loss')
    assert set(result) == {'loss_similarity', 'similarity', 'loss_smoothness', 'smoothness'}
    sum(v for k, v in result.items() if k.startswith('loss_')).backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not dead
    assert all(p.grad.abs().sum() > 0 for name, p in model.named_parameters() if name.endswith('weight'))


def test_prediction_holds_everything_known_about_the_pair(build, pair):
    model = build().eval()
    inputs = pair(SIZES[3], batch=2, labels=True)
    points = torch.tensor([[1.0, 2.0, 3.0], [4.5, 5.0, 6.0]])
    inputs['fixed_landmarks'] = inputs['moving_landmarks'] = [points, points]
    with torch.no_grad():
        samples = model(inputs, [RegSample(metainfo={'case_id': str(n)}) for n in range(2)], mode='predict')
    for n, sample in enumerate(samples):
        u = sample.pred.displacement
        assert u.shape == (3, *SIZES[3]) and u.abs().max() > 0
        torch.testing.assert_close(sample.pred.warped, warp(inputs['moving'][n : n + 1], u[None])[0])
        assert torch.equal(sample.pred.warped_labels, warp_labels(inputs['moving_labels'][n : n + 1], u[None])[0])
        torch.testing.assert_close(sample.pred.warped_landmarks[0], points[0] + u[:, 1, 2, 3])
        assert sample.case_id == str(n) and sample.fixed_labels.shape == (1, *SIZES[3])
        assert set(sample.to_dict()['pred']) >= {'displacement', 'warped', 'warped_labels', 'warped_landmarks'}
    assert 'float32(3, 9, 8, 11)' in repr(samples[0])


def test_padding_is_symmetric_and_does_not_change_the_result(build, pair):
    """A size that fits gives the same field when zeros that the padding would add are given by hand."""
    model = build().eval()
    inputs = pair((12, 10, 9))
    widths = padding_to((12, 10, 9), model.size_divisor, model.min_size)
    assert widths == [(0, 0), (0, 0), (0, 1)]
    by_hand = {key: pad(value, widths) for key, value in inputs.items()}
    with torch.no_grad():
        expected = crop(model(by_hand).displacement, widths)
        torch.testing.assert_close(model(inputs).displacement, expected)


def test_padding_moves_landmarks_and_labels_along(build, pair):
    model = build(
        losses={'points': {'type': 'LandmarkDistance', 'weight': 1.0}, 'overlap': {'type': 'Dice', 'weight': 1.0}},
        label_values=3,
    )
    inputs = pair((9, 8, 11), labels=True)
    points = torch.tensor([[1.0, 2.0, 3.0]])
    inputs |= {'fixed_landmarks': [points], 'moving_landmarks': [points]}
    for module in model.flow_head.estimators:  # a zero field: what is left is the distance of the points themselves
        torch.nn.init.zeros_(module.flow.weight)
        torch.nn.init.zeros_(module.flow.bias)
    result = model(inputs, mode='loss')
    assert float(result['points']) == pytest.approx(0.0, abs=1e-5)


def test_weight_zero_is_logged_and_weight_none_is_not_computed(build, pair, config):
    losses = config()['losses']
    losses['smoothness']['weight'] = 0
    losses['extra'] = {'type': 'L1', 'weight': None}
    result = build(losses=losses)(pair((8, 8, 8)), mode='loss')
    assert set(result) == {'loss_similarity', 'similarity', 'smoothness'}
    assert not result['smoothness'].requires_grad


def test_weights_multiply_the_terms(build, pair, config):
    inputs = pair((8, 8, 8))
    model = build()
    with torch.no_grad():
        result = model(inputs, mode='loss')
        terms = model.objective.level_terms(model(inputs), inputs)
    assert float(result['loss_smoothness']) == pytest.approx(0.5 * float(result['smoothness']))
    assert float(result['similarity']) == pytest.approx(float(terms['similarity'][0] + 0.5 * terms['similarity'][1]))


def test_per_level_arguments(build, pair, config):
    losses = config()['losses']
    losses['similarity'] = {'type': 'LNCC', 'levels': [1, 0.5], 'per_level': {'window': [5, 3]}}
    model = build(losses=losses)
    assert [loss.window for loss in model.objective.terms['similarity'].losses] == [5, 3]


def test_checkpointing_changes_nothing_but_memory(build, pair):
    inputs = pair((16, 12, 8))
    plain, lean = build(), build(checkpoint_levels=2)
    lean.load_state_dict(plain.state_dict())
    gradients = []
    for model in (plain, lean):
        sum(v for k, v in model(inputs, mode='loss').items() if k.startswith('loss_')).backward()
        gradients.append([p.grad for p in model.parameters()])
    for a, b in zip(*gradients):
        torch.testing.assert_close(a, b)


def test_moved_points_follow_the_field():
    displacement = torch.zeros(2, 6, 6)
    displacement[0] = 1.5
    points = torch.tensor([[2.0, 3.0]])
    torch.testing.assert_close(move_points(points, displacement), torch.tensor([[3.5, 3.0]]))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'moving': (1, 1, 8, 8, 9)}, 'expected that of fixed'),
        ({'fixed': (1, 1, 8, 8), 'moving': (1, 1, 8, 8)}, 'with 3 spatial axes'),
        ({'fixed': (1, 2, 8, 8, 8), 'moving': (1, 2, 8, 8, 8)}, 'expected 1'),
    ],
)
def test_inputs_that_do_not_fit_are_refused(build, pair, changes, message):
    inputs = pair((8, 8, 8)) | {key: torch.zeros(shape) for key, shape in changes.items()}
    with pytest.raises(DataError, match=message):
        build()(inputs)


def test_sizes_are_refused_without_padding(build, pair):
    with pytest.raises(DataError, match='expected multiples of'):
        build(pad=False)(pair((9, 8, 8)))


def test_impossible_parts_are_refused_when_the_model_is_built(build, config):
    losses = config()['losses']
    with pytest.raises(ConfigError, match="expected 'compose' or 'add'"):
        build(flow_head={'type': 'CoarseToFineHead', 'composition': 'sum'})
    with pytest.raises(ConfigError, match='label_values is missing'):
        build(losses=losses | {'overlap': {'type': 'Dice'}})
    with pytest.raises(ConfigError, match='expected one per level'):
        build(losses={'a': {'type': 'LNCC', 'levels': [1, 1], 'per_level': {'window': [3]}}})
    with pytest.raises(ConfigError, match=r'losses\.a\.on'):
        build(losses={'a': {'type': 'Diffusion', 'on': 'flow'}})
    with pytest.raises(KeyError, match="did you mean 'ResizePyramid'"):
        build(backbone={'type': 'ResizePyramids'})


def test_losses_that_miss_their_data_say_so(build, pair, config):
    losses = {'overlap': {'type': 'Dice', 'weight': 1.0}}
    with pytest.raises(ConfigError, match="needs inputs\\['moving_labels'\\]"):
        build(losses=losses, label_values=3)(pair((8, 8, 8)), mode='loss')
    with pytest.raises(ConfigError, match='backward field'):
        build(losses={'ic': {'type': 'InverseConsistency', 'weight': 1.0}})(pair((8, 8, 8)), mode='loss')
    with pytest.raises(ConfigError, match='found 2 velocities'):
        losses = {'s': {'type': 'Diffusion', 'levels': [1, 1, 1]}}
        build(losses=losses)(pair((8, 8, 8)), mode='loss')
    with pytest.raises(ConfigError, match='at least one loss'):
        build(losses=None)(pair((8, 8, 8)), mode='loss')


def test_batches_of_different_shapes_are_refused(build):
    data = {'inputs': {'fixed': [torch.zeros(1, 8, 8, 8), torch.zeros(1, 8, 8, 9)]}, 'data_samples': [None, None]}
    with pytest.raises(DataError, match='batch_size=1'):
        build().data_preprocessor(data)
