"""The text-driven head: equal forms of its evaluation, where its label map comes from, checkpoints, backbones."""

import pytest
import torch

from mmreg.errors import CheckpointError, ConfigError, DataError
from mmreg.models.blocks.textscf.covariant import covariant, covariant_soft
from mmreg.models.blocks.textscf.text_rows import unpack
from mmreg.models.flow_heads.textscf import fold_text_head
from mmreg.registry import REGISTRARS
from mmreg.utils.checkpoint import check_architecture, load_weights

LABELS = {1: 'spleen', 2: 'liver', 5: 'aorta'}
BACKBONES = {
    'lku': {'type': 'LKUNet', 'channels': 2, 'kernel': 5, 'half_resolution': True},
    'voxelmorph': {'type': 'UNet', 'features': [[4, 4], [4, 4, 4]]},
    'eoir': {'type': 'ResizePyramid', 'levels': 1, 'encoder': {'type': 'EOIREncoder', 'channels': 2}},
}


def build(ndim=2, backbone='lku', integrator=None, labels=LABELS, dim=16, losses=None, seed=0, **head):
    torch.manual_seed(seed)
    config = {
        'type': 'TextSCFHead',
        'label_set': {'labels': labels},
        'text_embedding': {'type': 'HashTextEmbedding', 'dim': dim},
        'hidden_dim': 8,
        **head,
    }
    return REGISTRARS.build(
        {
            'type': 'Registrar',
            'ndim': ndim,
            'backbone': BACKBONES[backbone],
            'flow_head': config,
            'integrator': integrator,
            'losses': losses,
        }
    ).eval()


def inputs(ndim=2, batch=2, size=20, seed=0, values=(0, 1, 2, 5)):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, 1, *(size,) * ndim)
    made = {key: torch.rand(shape, generator=generator) for key in ('fixed', 'moving')}
    labels = torch.tensor(values)
    for key in ('fixed_prompt', 'moving_labels'):
        made[key] = labels[torch.randint(0, len(values), shape, generator=generator)]
    return made


def gather(features, filters, rows):
    """The published form: a filter per voxel."""
    chosen = filters[:, rows[:, 0]]  # (J, N, *S, C)
    return (chosen.movedim(-1, 2) * features[None]).sum(2).transpose(0, 1)


@pytest.mark.parametrize('spatial', [(7, 6), (5, 4, 6)])
def test_regions_equal_the_gather_form_with_gradients(spatial):
    torch.manual_seed(0)
    features = torch.randn(2, 3, *spatial, dtype=torch.float64, requires_grad=True)
    filters = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    rows = torch.randint(0, 4, (2, 1, *spatial))  # the last filter is never used
    ours, published = covariant(features, filters, rows), gather(features, filters, rows)
    torch.testing.assert_close(ours, published)
    weight = torch.randn_like(ours)
    for a, b in zip(*(torch.autograd.grad((x * weight).sum(), (features, filters)) for x in (ours, published))):
        torch.testing.assert_close(a, b)
    small = [features[:1, :, :2, :2].detach().requires_grad_(), filters]
    assert torch.autograd.gradcheck(lambda f, w: covariant(f, w, rows[:1, :, :2, :2]), small)


def test_soft_prompt_of_a_one_hot_map_equals_the_hard_one():
    torch.manual_seed(0)
    features, filters = torch.randn(2, 3, 4, 5), torch.randn(2, 4, 3)
    rows = torch.randint(0, 4, (2, 1, 4, 5))
    onehot = torch.nn.functional.one_hot(rows[:, 0], 4).movedim(-1, 1).float().requires_grad_()
    soft = covariant_soft(features, filters, onehot)
    torch.testing.assert_close(soft, covariant(features, filters, rows))
    soft.sum().backward()
    assert onehot.grad.abs().sum() > 0


def test_a_constant_map_is_an_ordinary_convolution():
    features, filters = torch.randn(1, 3, 6, 6), torch.randn(2, 4, 3)
    rows = torch.full((1, 1, 6, 6), 2)
    expected = torch.nn.functional.conv2d(features, filters[:, 2, :, None, None])
    torch.testing.assert_close(covariant(features, filters, rows), expected)


@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('downsize', [1, 2])
def test_any_backbone_learns(backbone, ndim, downsize):
    integrator = {'type': 'ScalingSquaring', 'steps': 3} if downsize == 2 else None
    losses = {'similarity': {'type': 'MSE'}, 'smooth': {'type': 'Diffusion', 'weight': 0.1}}
    model = build(ndim, backbone, integrator, losses=losses, int_downsize=downsize).train()
    batch = inputs(ndim, batch=1, size=20 if ndim == 2 else 18)
    assert model(batch).displacement.shape == (1, ndim, *batch['fixed'].shape[2:])
    sum(v for k, v in model(batch, mode='loss').items() if k.startswith('loss_')).backward()
    gradients = [p.grad for p in model.flow_head.parameters()]
    assert all(g is not None and g.abs().sum() > 0 for g in gradients[-2:])


def test_labels_and_rows_may_be_permuted_together():
    first = build()
    names = list(LABELS.values())
    second = build(labels={1: names[2], 2: names[0], 5: names[1]})
    second.load_state_dict(first.state_dict())  # rows go by name
    batch = inputs()
    moved = {0: 0, 1: 2, 2: 5, 5: 1}
    permuted = batch['fixed_prompt'].clone().apply_(lambda v: moved[v])
    torch.testing.assert_close(second({**batch, 'fixed_prompt': permuted}).displacement, first(batch).displacement)


def test_moving_labels_play_no_part_unless_propagated():
    batch = inputs()
    other = {**batch, 'moving_labels': torch.zeros_like(batch['moving_labels'])}
    model = build()
    assert torch.equal(model(batch).displacement, model(other).displacement)
    model.flow_head.prompt = 'propagate'
    assert not torch.equal(model(batch).displacement, model(other).displacement)
    background = build(prompt='background')
    assert torch.equal(model(other).displacement, background(batch).displacement)


def test_soft_maps_and_their_padding():
    model, batch = build(), inputs()
    hard = model(batch).displacement
    rows = model.flow_head.lookup[batch['fixed_prompt']]
    onehot = torch.nn.functional.one_hot(rows[:, 0], 4).movedim(-1, 1).float()
    soft = model({**batch, 'fixed_prompt': onehot}).displacement
    assert not torch.equal(hard, soft)
    torch.testing.assert_close(build(soft=True)(batch).displacement, soft)
    blocks = batch['fixed_prompt'][..., ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(build(soft=True)({**batch, 'fixed_prompt': blocks}).displacement, hard)


def test_folded_head_equals_unfolded(tmp_path):
    model, batch = build(), inputs()
    expected = model(batch).displacement
    count = sum(p.numel() for p in model.flow_head.parameters())
    fold_text_head(model)
    torch.testing.assert_close(model(batch).displacement, expected, rtol=0, atol=0)
    assert sum(p.numel() for p in model.flow_head.parameters()) < count
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'folded.pth')
    again = build(seed=1, folded=True)
    load_weights(again, tmp_path / 'folded.pth')
    torch.testing.assert_close(again(batch).displacement, expected, rtol=0, atol=0)
    with pytest.raises(ConfigError, match='no text-driven head'):
        fold_text_head(torch.nn.Linear(1, 1))


def test_a_checkpoint_is_complete_without_the_embedding_file(tmp_path):
    model, batch = build(), inputs()
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'model.pth')
    missing = {'type': 'FileTextEmbedding', 'path': str(tmp_path / 'nowhere.npz')}
    with pytest.raises(ConfigError, match='no provider works here'):
        build(text_embedding=missing)
    again = build(seed=1, text_embedding=missing, text_dim=16)
    with pytest.raises(ConfigError, match=r'no text embeddings: .*nowhere\.npz'):
        again(batch)
    load_weights(again, tmp_path / 'model.pth')
    assert torch.equal(again(batch).displacement, model(batch).displacement)
    record = unpack(again.flow_head.text.record)
    assert record['names'] == ['background', *LABELS.values()] and record['meta']['encoder'] == 'hash-16'


def test_a_smaller_label_set_takes_its_rows_by_name(tmp_path):
    model, batch = build(), inputs(values=(0, 1, 2))
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'model.pth')
    smaller = build(seed=1, labels={1: 'Spleen', 2: 'liver'})
    load_weights(smaller, tmp_path / 'model.pth')
    # products of three rows may round otherwise than those of four
    assert torch.allclose(smaller(batch).displacement, model(batch).displacement, rtol=0, atol=1e-8)


def test_checkpoints_that_do_not_fit_are_told_in_one_sentence():
    weights = build().state_dict()
    with pytest.raises(CheckpointError, match=r"file\.pth has no embedding of 'kidney'.*different names"):
        check_architecture(build(labels={1: 'kidney'}), dict(weights), 'file.pth')
    with pytest.raises(CheckpointError, match=r"encoder 'hash-16' with 16 numbers each, expected 8 as of 'hash-8'"):
        check_architecture(build(dim=8), dict(weights), 'file.pth')


def test_without_a_map_the_three_ways_are_named():
    batch = inputs()
    del batch['fixed_prompt']
    with pytest.raises(DataError, match=r"no 'fixed_prompt' .*SegmentPrompt.*'propagate'.*'background'"):
        build()(batch)


def test_labels_that_are_not_in_the_set_are_named():
    with pytest.raises(DataError, match=r"labels \[3, 9\], expected only those of the label set 'custom'"):
        build()(inputs(values=(0, 1, 3, 9)))
    with pytest.raises(DataError, match=r'labels \[-1\]'):
        build()(inputs(values=(0, -1)))


def test_dropped_regions_only_in_training():
    model, batch = build(label_dropout=1.0), inputs()
    kept, nothing = model(batch).displacement, build(prompt='background')(batch).displacement
    assert not torch.equal(kept, nothing)
    assert torch.equal(model.train()(batch).displacement, nothing)
    some = build(region_dropout=1.0).train()
    assert torch.equal(some(batch).displacement, nothing)


@pytest.mark.parametrize('kind', ['all', 'background'])
def test_trained_rows_get_gradients(kind):
    embedding = {'type': 'LearnedTextEmbedding', 'dim': 16}
    if kind == 'background':
        embedding = {'type': 'HashTextEmbedding', 'dim': 16, 'background': 'learned'}
    model = build(text_embedding=embedding)
    model(inputs()).displacement.square().sum().backward()
    rows = model.flow_head.text
    found = rows.embedding.grad if kind == 'all' else rows.background.grad
    assert found.abs().sum() > 0


@pytest.mark.parametrize(
    ('channels', 'hidden', 'total'),
    [(64, 2048, 163737623), (32, 2048, 63760407), (8, 2048, 32168535), (8, 512, 4875351)],
)
def test_published_sizes(channels, hidden, total):
    from mmreg.utils.config import load_config

    config = load_config('configs/textscf_oasis.py').model
    config.backbone.channels, config.flow_head.hidden_dim = channels, hidden
    with torch.device('meta'):
        model = REGISTRARS.build(config)
    unused = (2 * channels) * (2 * channels) * 8 + 2 * channels + 1  # up4, which we do not build
    assert sum(p.numel() for p in model.parameters()) + unused == total


def test_scores_of_an_oracle_are_marked(tmp_path):
    from mmengine.evaluator import Evaluator

    from mmreg.registry import METRICS

    batch = inputs(batch=1)
    batch['fixed_labels'] = batch['fixed_prompt'].flip(-1)
    for mark, given in (('', batch), ('_oracle', {**batch, 'fixed_prompt': batch['fixed_labels']})):
        samples = build()(given, mode='predict')
        folder = tmp_path / f'out{mark}'
        metrics = [
            dict(type='DiceMetric', labels=[1, 2, 5], output_dir=str(folder)),
            dict(type='JacobianMetric', output_dir=str(folder)),
        ]
        evaluator = Evaluator([METRICS.build(metric) for metric in metrics])
        evaluator.process(samples, {})
        found = evaluator.evaluate(1)
        assert found['reg/dice_oracle'] == found['reg/jacobian_oracle'] == float(bool(mark))
        assert {path.name for path in folder.glob('*.csv')} == {f'dice{mark}.csv', f'jacobian{mark}.csv'}
    assert build(prompt='fixed_labels')(batch, mode='predict')[0].oracle_prompt is True
