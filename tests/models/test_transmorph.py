"""TransMorph: published sizes, all its forms in 2-D and 3-D at odd sizes, other heads on it and its heads elsewhere."""

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.models.backbones.transmorph import TransMorph
from mmreg.models.flow_heads.conv_flow import ConvFlowHead
from mmreg.registry import REGISTRARS

SMALL = {'type': 'TransMorph', 'width': 4, 'depths': (2, 2), 'heads': (2, 2), 'window': 2, 'channels': 4}
LOSSES = {
    'similarity': {'type': 'LNCC', 'window': 3, 'negative': True},
    'smoothness': {'type': 'Diffusion', 'on': 'velocity'},
}
KL = {'type': 'GaussianKL', 'on': 'mean', 'weight': 0.1}
#: Name of a form: changes of backbone; head; integrator; further losses.
FORMS = {
    'base': ({}, {'type': 'ConvFlowHead'}, None, {}),
    'noskip': ({'transformer_skips': False, 'convolution_skips': False}, {'type': 'ConvFlowHead'}, None, {}),
    'oasis': ({'finest': 1}, {'type': 'ConvFlowHead', 'resampling': 'centres'}, None, {}),
    'bayes': ({'drop': 0.1, 'monte_carlo': True}, {'type': 'ConvFlowHead'}, None, {}),
    'diff': (
        {'finest': 1},
        {'type': 'GaussianFlowHead', 'int_downsize': 2, 'resampling': 'centres'},
        {'type': 'ScalingSquaring', 'steps': 4},
        {'divergence': KL},
    ),
    'bspl': (
        {'finest': 1, 'channels': None},
        {'type': 'FFDHead', 'channels': (4, 4)},
        {'type': 'BSplineFFD', 'spacing': 3, 'steps': 4},
        {},
    ),
    'tvf': (
        {'finest': 1, 'channels': None, 'image_downsample': 2, 'skip_norm_cfg': {'type': 'BN'}},
        {'type': 'TimeVaryingHead', 'steps': 3, 'channels': 4},
        None,
        {},
    ),
}


def config(form='base', ndim=2, losses=None, **changes):
    backbone, head, integrator, further = FORMS[form]
    return {
        'type': 'Registrar',
        'ndim': ndim,
        'backbone': {**SMALL, **backbone},
        'flow_head': head,
        'integrator': integrator,
        'losses': {**LOSSES, **further} if losses is None else losses,
        **changes,
    }


def build(*args, **kwargs):
    torch.manual_seed(0)
    return REGISTRARS.build(config(*args, **kwargs))


def parameters(**options):
    with torch.device('meta'):
        backbone = TransMorph(window=(5, 6, 7), **options)
        head = ConvFlowHead(backbone.spec)
    return sum(p.numel() for part in (backbone, head) for p in part.parameters())


LARGE = {'width': 128, 'depths': (2, 2, 12, 2), 'heads': (4, 4, 8, 16)}


@pytest.mark.parametrize(
    ('options', 'unused', 'expected'),
    [
        ({'width': 6, 'heads': (2, 2, 4, 4)}, 0, 244_527),
        ({'width': 48, 'heads': (4, 4, 4, 4)}, 0, 11_757_195),
        ({}, 0, 46_771_251),
        (LARGE, 0, 108_343_907),
        ({'convolution_skips': False}, (48 + 16) * 2 * 27, 46_702_131),
        ({'transformer_skips': False}, 0, 41_545_779),
        ({'transformer_skips': False, 'convolution_skips': False}, (48 + 16) * 2 * 27, 41_476_659),
        ({'position': 'learned'}, 0, 63_630_387),
        ({'finest': 1}, 16 * 2 * 27, 46_556_979),
        ({'finest': 1, **LARGE}, 16 * 2 * 27, 107_949_923),
    ],
)
def test_published_numbers_of_parameters(options, unused, expected):
    """Up to the convolutional skips that some published code has and never uses."""
    assert parameters(**options) + unused == expected


def test_published_number_of_parameters_of_the_other_forms():
    """Bayes has a second head and a third one, TVF the base head, that are never used."""
    head = 16 * 3 * 27 + 3
    with torch.device('meta'):
        bspl = REGISTRARS.build(
            config('bspl', 3)
            | {
                'backbone': {'type': 'TransMorph', 'window': (5, 6, 7), 'finest': 1, 'channels': None},
                'flow_head': {'type': 'FFDHead', 'channels': (32, 32)},
            }
        )
        diff = REGISTRARS.build(
            config('diff', 3) | {'backbone': {'type': 'TransMorph', 'window': (5, 6, 7), 'finest': 1}}
        )
        backbone = {'width': 96, 'depths': (4, 4, 5), 'heads': (8, 8, 8), 'window': (2, 3, 3)}
        tvf = REGISTRARS.build(
            config('tvf', 3)
            | {
                'backbone': {**SMALL, **FORMS['tvf'][0], **backbone},
                'flow_head': {'type': 'TimeVaryingHead', 'steps': 7},
            }
        )
    counts = [sum(p.numel() for p in model.parameters()) for model in (bspl, diff, tvf)]
    assert parameters() + head + 16 * 27 + 1 == 46_772_983
    assert counts[0] == 46_806_307
    assert counts[1] == 46_557_414
    assert counts[2] + head == 17_449_584


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('form', FORMS)
def test_every_form_trains_at_odd_sizes(pair, form, ndim):
    size = (17, 12, 9)[:ndim]
    model = build(form, ndim)
    inputs = pair(size, batch=2)
    result = model(inputs, mode='loss')
    sum(value for key, value in result.items() if key.startswith('loss_')).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    if form == 'noskip':  # published weights have a norm of every stage, also where only the last one is seen
        without = [name for name in without if not name.startswith('backbone.encoder.norms.0.')]
    assert not without
    with torch.no_grad():
        assert model.eval()(inputs).displacement.shape == (2, ndim, *size)


@pytest.mark.parametrize('form', FORMS)
def test_weights_survive_a_file(pair, form, tmp_path):
    model, inputs = build(form).eval(), pair((16, 16))
    torch.save(model.state_dict(), tmp_path / 'weights.pth')
    torch.manual_seed(1)
    again = REGISTRARS.build(config(form)).eval()
    again.load_state_dict(torch.load(tmp_path / 'weights.pth', weights_only=True))
    results = []
    for one in (model, again):
        torch.manual_seed(2)
        with torch.no_grad():
            results.append(one(inputs).displacement)
    assert torch.equal(*results)


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('options', [{}, {'finest': 1}, {'image_downsample': 2}, {'patch_size': 2}, {'patch_size': 8}])
def test_features_are_what_the_spec_says(ndim, options):
    arguments = {key: value for key, value in SMALL.items() if key != 'type'}
    backbone = TransMorph(ndim=ndim, **{**arguments, **options})
    size = tuple(2 * d for d in backbone.spec.size_divisor)
    features = backbone(torch.rand(1, 1, *size), torch.rand(1, 1, *size))
    assert len(features) == backbone.spec.levels
    for feature, channels, strides in zip(features, backbone.spec.channels, backbone.spec.strides):
        assert feature.shape[1] == channels
        assert tuple(feature.shape[2:]) == tuple(n // s for n, s in zip(size, strides))


@pytest.mark.parametrize(
    'head',
    [
        {'type': 'ConvFlowHead', 'int_downsize': 2, 'bidirectional': True},
        {
            'type': 'TextSCFHead',
            'label_set': 'oasis35',
            'text_embedding': {'type': 'HashTextEmbedding', 'dim': 64},
            'text_dim': 64,
            'hidden_dim': 4,
            'prompt': 'fixed_labels',
        },
    ],
)
def test_other_heads_work_on_it(pair, head):
    model = build('base', losses=LOSSES, flow_head=head, integrator={'type': 'ScalingSquaring', 'steps': 3})
    inputs = pair((19, 16), labels=True)
    result = model(inputs, mode='loss')
    (result['loss_similarity'] + result['loss_smoothness']).backward()
    assert all(p.grad is not None for p in model.backbone.parameters())


BACKBONES = {
    'unet': {'type': 'UNet', 'features': [[4, 4], [4, 4, 4]]},
    'lku': {'type': 'LKUNet', 'channels': 2},
    'eoir': {'type': 'ResizePyramid', 'levels': 2, 'encoder': {'type': 'EOIREncoder', 'channels': 4}},
    'images': {'type': 'ImagePyramid', 'levels': 2},
}


@pytest.mark.parametrize('form', ['diff', 'tvf'])
@pytest.mark.parametrize('name', BACKBONES)
def test_its_heads_work_on_other_backbones(pair, form, name):
    model = build(form, backbone=BACKBONES[name])
    result = model(pair((20, 16)), mode='loss')
    sum(value for key, value in result.items() if key.startswith('loss_')).backward()
    assert all(p.grad is not None for p in model.flow_head.parameters())


@pytest.mark.parametrize('form', FORMS)
def test_under_autocast_fields_are_float32(pair, form):
    model = build(form)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        result = model(pair((16, 16)), mode='loss')
        fields = model(pair((16, 16)))
    assert all(value.isfinite() for value in result.values())
    assert fields.displacement.dtype == torch.float32


def test_a_velocity_that_is_constant_in_time_and_space_adds_up():
    model = build('tvf').eval()
    with torch.no_grad():
        for flow in model.flow_head.flows:
            torch.nn.init.zeros_(flow.conv.weight)
            flow.conv.bias.copy_(torch.tensor([0.5, -0.25]))
        fields = model({'fixed': torch.rand(1, 1, 32, 32), 'moving': torch.rand(1, 1, 32, 32)})
    inner = fields.displacement[0, :, 12:20, 12:20]
    torch.testing.assert_close(inner[0], torch.full_like(inner[0], 3 * 0.5 * 2))
    torch.testing.assert_close(inner[1], torch.full_like(inner[1], 3 * -0.25 * 2))
    assert len(fields.extras['steps']) == 3


def test_the_inverse_of_a_time_varying_velocity_undoes_it(pair):
    from mmreg.spatial import compose

    head = {**FORMS['tvf'][1], 'bidirectional': True, 'init_std': 0.05}
    model = build('tvf', flow_head=head).eval()
    with torch.no_grad():
        fields = model(pair((64, 64)))
    both = compose(fields.displacement, fields.inverse_displacements[0])[..., 16:48, 16:48]
    assert fields.displacement[..., 16:48, 16:48].abs().max() > 0.5
    assert both.abs().max() < 0.2 * fields.displacement[..., 16:48, 16:48].abs().max()


def test_sampling_of_the_gaussian_head(pair):
    """Training draws around the mean with the width it says; evaluation does not draw."""
    head = {'type': 'GaussianFlowHead', 'variance_bias': 2.0, 'init_std': 1e-5}
    model = build('base', flow_head=head, losses={**LOSSES, 'divergence': KL})
    inputs = pair((32, 32))
    fields = model(inputs)
    drawn = fields.velocities[0] - fields.means[0]
    assert drawn.std().item() == pytest.approx(torch.tensor(1.0).exp().item(), rel=0.1)
    fields = model.eval()(inputs)
    assert torch.equal(fields.velocities[0], fields.means[0])


class TestMonteCarlo:
    def build(self, **options):
        options = {'type': 'MonteCarloRegistrar', 'samples': 4, **options}
        head = {'type': 'ConvFlowHead', 'init_std': 0.1}
        return build('bayes', flow_head=head, **options).eval()

    def test_mean_and_variance_are_those_of_the_samples(self, pair):
        model, inputs = self.build(), pair((19, 16))
        torch.manual_seed(3)
        with torch.no_grad():
            fields = model(inputs)
        torch.manual_seed(3)
        with torch.no_grad():
            padded = model._padded(inputs, [(2, 3), (0, 0)])  # 19 voxels to 24, the next multiple of 8
            seen = [super(type(model), model).fields(padded).displacement for _ in range(4)]
        samples = torch.stack(seen)[..., 2:-3, :]
        torch.testing.assert_close(fields.displacement, samples.mean(0), rtol=0, atol=1e-5)
        variance = fields.extras['maps']['displacement_variance']
        torch.testing.assert_close(variance, samples.var(0), rtol=1e-3, atol=1e-6)
        assert variance.max() > 0

    def test_predictions_carry_both_maps(self, pair):
        with torch.no_grad():
            samples = self.build()(pair((19, 16), batch=2), mode='predict')
        for one in samples:
            assert one.pred.displacement_variance.shape == (2, 19, 16)
            assert one.pred.warped_variance.shape == (1, 19, 16) and one.pred.warped_variance.max() > 0

    def test_best_has_the_smallest_error(self, pair):
        from mmreg.spatial import warp

        inputs = pair((16, 16), batch=2)
        errors = {}
        for choose in ('mean', 'best'):
            model = self.build(choose=choose, samples=6)
            torch.manual_seed(0)
            with torch.no_grad():
                u = model(inputs).displacement
            errors[choose] = (warp(inputs['moving'], u) - inputs['fixed']).square().flatten(1).mean(1)
        torch.manual_seed(0)
        every = []
        with torch.no_grad():
            for _ in range(6):
                u = super(type(model), model).fields(inputs).displacement
                every.append((warp(inputs['moving'], u) - inputs['fixed']).square().flatten(1).mean(1))
        torch.testing.assert_close(errors['best'], torch.stack(every).amin(0))

    def test_training_is_one_sample(self, pair):
        result = self.build().train()(pair((16, 16)), mode='loss')
        assert result['loss_similarity'].requires_grad

    @pytest.mark.parametrize(('options', 'message'), [({'samples': 1}, 'samples'), ({'choose': 'worst'}, 'choose')])
    def test_wrong_options(self, options, message):
        with pytest.raises(ConfigError, match=message):
            self.build(**options)

    def test_a_network_without_dropout_is_refused(self):
        with pytest.raises(ConfigError, match='dropout in evaluation'):
            build('base', type='MonteCarloRegistrar')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'backbone': {**SMALL, 'patch_size': 6}}, 'power of 2'),
        ({'backbone': {**SMALL, 'finest': 2}}, 'finest'),
        ({'backbone': {**SMALL, 'image_downsample': 0}}, 'image_downsample'),
        ({'flow_head': {'type': 'TimeVaryingHead', 'steps': 0}}, 'steps'),
        ({'flow_head': {'type': 'TimeVaryingHead', 'update': 'add'}}, 'update'),
        ({'flow_head': {'type': 'TimeVaryingHead', 'level': 0}}, 'even stride'),
        ({'flow_head': {'type': 'TimeVaryingHead', 'bidirectional': True, 'update': 'published'}}, 'bidirectional'),
        ({'flow_head': {'type': 'ConvFlowHead', 'sampler': 'x'}}, 'sampler'),
        ({'integrator': {'type': 'BSplineFFD'}}, 'control points'),
        ({'flow_head': {'type': 'FFDHead'}}, 'expected BSplineFFD'),
        ({'flow_head': {'type': 'CoarseToFineHead'}}, 'one feature map per image'),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_built(changes, message):
    with pytest.raises(ConfigError, match=message):
        build('base', **changes)


def test_a_backbone_without_coarse_levels_has_no_time_varying_head():
    with pytest.raises(ConfigError, match='even stride'):
        build('tvf', backbone={'type': 'ImagePyramid', 'levels': 1})


def test_checkpointing_changes_no_gradient(pair):
    grads = []
    for options in ({}, {'use_checkpoint': True}):
        model = build('base', backbone={**SMALL, 'drop_path': 0.0, **options}, checkpoint_levels=2 * bool(options))
        torch.nn.init.normal_(model.flow_head.flow.conv.weight, std=0.1, generator=torch.Generator().manual_seed(0))
        result = model(pair((16, 16)), mode='loss')
        result['loss_similarity'].backward()
        grads.append([p.grad for p in model.parameters()])
    for a, b in zip(*grads):
        torch.testing.assert_close(a, b)
