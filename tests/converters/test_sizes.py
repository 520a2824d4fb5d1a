"""What published constructors allow, converters read from the weights: no size is taken for granted."""

import pytest
import torch

from mmreg.converters import FAMILIES
from mmreg.errors import ConfigError
from mmreg.models.blocks.layers import LargeKernelBlock
from mmreg.models.blocks.swin.block import SwinBlock
from mmreg.registry import REGISTRARS


def c2fvit_file(widths, depths, hidden, patches):
    """Weights by their published names."""
    shapes = {}
    for k, (width, depth, wide, patch) in enumerate(zip(widths, depths, hidden, patches), start=1):
        shapes |= {
            f'patch_embed_{k}_xy.proj.weight': (width, 2, *[patch] * 3),
            f'patch_embed_{k}_xy.proj.bias': (width,),
        }
        for j in range(depth):
            block = f'stage_{k}.{j}'
            shapes |= {f'{block}.attn.q.weight': (width, width), f'{block}.attn.kv.weight': (2 * width, width)}
            shapes |= {f'{block}.attn.proj.weight': (width, width), f'{block}.attn.proj.bias': (width,)}
            shapes |= {f'{block}.mlp.fc1.weight': (wide, width), f'{block}.mlp.fc1.bias': (wide,)}
            shapes |= {f'{block}.mlp.dwconv.dwconv.weight': (wide, 1, 3, 3, 3)}
            shapes |= {f'{block}.mlp.fc2.weight': (width, wide), f'{block}.mlp.fc2.bias': (width,)}
        shapes |= {f'head_{k}.0.weight': (width // 2, width), f'head_{k}.2.weight': (12, width // 2)}
        if k < len(widths):
            shapes |= {f'squeeze_{k}.weight': (widths[k], width, 3, 3, 3), f'squeeze_{k}.bias': (widths[k],)}
    torch.manual_seed(0)
    return {name: 0.02 * torch.randn(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ('widths', 'depths', 'heads', 'hidden', 'strides'),
    [
        ((8, 12, 16), (1, 2, 3), (1, 3, 2), (16, 30, 40), (2, 4, 8)),
        ((8, 8), (2, 1), (2, 4), (17, 16), (2, 4)),
        ((8, 12), (1, 1), (2, 2), (16, 24), (4, 8)),
    ],
)
def test_stages_of_c2fvit_may_differ(widths, depths, heads, hidden, strides):
    family = FAMILIES['c2fvit']
    weights = family.convert(c2fvit_file(widths, depths, hidden, [2 * s - 1 for s in strides]))
    config = family.model(weights, {'config': {'num_heads': list(heads), 'stride': list(strides)}})
    model = REGISTRARS.build(config).eval()
    model.load_state_dict(weights)
    with torch.no_grad():
        fields = model({name: torch.rand(1, 1, 64, 64, 64) for name in ('fixed', 'moving')})
    assert fields.displacement.isfinite().all()


def test_heads_divide_the_channels():
    weights = FAMILIES['c2fvit'].convert(c2fvit_file((8, 12), (1, 1), (16, 24), (3, 7)))
    with pytest.raises(ConfigError, match='heads of a stage to divide'):
        REGISTRARS.build(FAMILIES['c2fvit'].model(weights, {'config': {'num_heads': [3, 2]}}))


@pytest.mark.parametrize('norm', [None, {'type': 'BN'}])
@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('kernel', [1, 3, 5, 9])
def test_large_kernels_of_any_odd_size(kernel, bias, norm):
    torch.manual_seed(1)
    block = LargeKernelBlock(2, 3, 3, kernel, norm, {'type': 'PReLU'}, bias=bias).eval()
    for name, buffer in block.named_buffers():
        if name.endswith(('mean', 'var')):
            buffer.uniform_(0.5, 1.5)
    x = torch.randn(2, 3, 11, 12)
    with torch.no_grad():
        branches = block(x)
        block.reparameterise()
        torch.testing.assert_close(block(x), branches)
    fused = LargeKernelBlock(2, 3, 3, kernel, None, {'type': 'PReLU'}, fused=True)
    fused.load_state_dict(block.state_dict())


@pytest.mark.parametrize('kernel', [0, 4, -3, 2.5])
def test_other_kernels_are_refused_in_a_sentence(kernel):
    with pytest.raises(ConfigError, match='expected an odd number'):
        LargeKernelBlock(3, 2, 2, kernel)


@pytest.mark.parametrize('hidden', [7, 29, 30, 31])
def test_a_width_that_is_no_multiple(hidden):
    """A ratio that was taken from the weights gives the very width again."""
    block = SwinBlock(22, 2, (2, 2), mlp_ratio=hidden / 22)
    assert block.mlp.fc1.out_features == hidden


def lapirn_file(levels):
    shapes, width = {}, 8
    for level in range(levels):
        prefix = ['', 'model_lvl2.' if levels == 3 else 'model_lvl1.', 'model_lvl2.model_lvl1.'][level]
        first = 2 if level == levels - 1 else 5
        conv = (width, width, 3, 3, 3)
        shapes |= {
            f'{prefix}input_encoder_lvl1.0.weight': (width, first, 3, 3, 3),
            f'{prefix}input_encoder_lvl1.2.weight': conv,
        }
        shapes |= {f'{prefix}down_conv.weight': conv, f'{prefix}up.weight': (width, width, 2, 2, 2)}
        shapes |= {
            f'{prefix}output_lvl1.0.weight': (8, 2 * width, 3, 3, 3),
            f'{prefix}output_lvl1.2.weight': (3, 8, 3, 3, 3),
        }
        for block in range(5):
            shapes |= {f'{prefix}resblock_group_lvl1.{2 * block}.conv{k}.weight': conv for k in (1, 2)}
    return {name: torch.zeros(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize('levels', [1, 2, 3])
def test_lapirn_of_any_number_of_levels(levels):
    family = FAMILIES['lapirn']
    weights = family.convert(lapirn_file(levels))
    config = family.model(weights)
    assert config['backbone']['levels'] == levels
    model = REGISTRARS.build({'type': 'Registrar', **config})
    assert not model.load_state_dict(weights, strict=False).unexpected_keys
