"""VoxelMorph-diff of the IXI table: the field of its published steps, written down again, from the same weights."""

import pytest
import torch
from torch.nn import functional as F

from mmreg.converters.files import convert_file
from mmreg.errors import CheckpointError
from mmreg.registry import REGISTRARS

ENCODER, DECODER = (4, 6, 6, 8, 8), (8, 6, 6, 6, 4)


def published():
    """Weights by their published names, not small, so that fields are large."""
    torch.manual_seed(5)
    widths = [(2, ENCODER[0]), *zip(ENCODER, ENCODER[1:])]
    skips = (0, ENCODER[3], ENCODER[2], ENCODER[1], 0)
    names = {f'encoders.{k}.conv': pair for k, pair in enumerate(widths)}
    below = ENCODER[-1]
    for k, width in enumerate(DECODER):
        names[f'decoders.{k}.conv'] = (below + skips[k], width)
        below = width
    names |= {'flow_mean': (below, 3), 'flow_sigma': (below, 3)}
    state = {}
    for name, (inner, outer) in names.items():
        state[f'{name}.weight'] = 0.3 * torch.randn(outer, inner, 3, 3, 3) / inner**0.5
        state[f'{name}.bias'] = 0.1 * torch.randn(outer)
    state['flow_mean.weight'] *= 0.05  # the published squarings do not divide first
    state['flow_mean.bias'] *= 0.05
    return state


def steps(state, moving, fixed):
    """``(1, 3, *S)`` voxels: encoder, decoder, squarings of the mean at half resolution, twice as many voxels."""

    def block(name, x, stride=1):
        return F.leaky_relu(
            F.conv3d(x, state[f'{name}.conv.weight'], state[f'{name}.conv.bias'], stride=stride, padding=1), 0.2
        )

    seen = [block('encoders.0', torch.cat([moving, fixed], 1))]
    for level in range(1, 5):
        seen.append(block(f'encoders.{level}', seen[-1], 2))
    x = block('decoders.0', seen[4])
    for level in range(1, 4):
        x = F.interpolate(x, scale_factor=2, mode='trilinear', align_corners=False)
        x = block(f'decoders.{level}', torch.cat([x, seen[4 - level]], 1))
    x = block('decoders.4', x)
    flow = F.conv3d(x, state['flow_mean.weight'], state['flow_mean.bias'], padding=1)
    size = flow.shape[2:]
    here = torch.stack(torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in size], indexing='ij'))
    scale = torch.tensor([2 / (n - 1) for n in size]).view(3, 1, 1, 1)
    for _ in range(7):
        places = ((here + flow[0]) * scale - 1).flip(0).permute(1, 2, 3, 0)[None]
        flow = flow + F.grid_sample(flow, places, align_corners=True)
    return F.interpolate(flow, scale_factor=2, mode='trilinear', align_corners=False)


def test_the_field_is_that_of_the_published_steps(tmp_path):
    state = published()
    torch.save({'epoch': 3, 'state_dict': state, 'best_dsc': 0.5, 'optimizer': {}}, tmp_path / 'in.pth.tar')
    model, unused = convert_file('auto', tmp_path / 'in.pth.tar', tmp_path / 'out.pth')
    built = REGISTRARS.build({'type': 'Registrar', **model}).eval()
    built.load_state_dict(torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict'])
    moving, fixed = torch.rand(1, 1, 32, 48, 32), torch.rand(1, 1, 32, 48, 32)
    with torch.no_grad():
        ours = built({'fixed': fixed, 'moving': moving}).displacement
        theirs = steps(state, moving, fixed)
    assert not unused and theirs.abs().max() > 0.5
    assert (ours - theirs).abs().max() < 1e-4


def test_icon_of_knees_is_called_by_its_name(tmp_path):
    content = {
        'regis_net.netPhi.net.netPhi.net.middle_dense.0.weight': torch.ones(2, 2),
        'regis_net.netPsi.net.downConvs.0.weight': torch.ones(4, 2, 3, 3, 3),
    }
    torch.save(content, tmp_path / 'in.pth')
    for family in ('auto', 'gradicon'):
        with pytest.raises(CheckpointError, match='ICON for knees'):
            convert_file(family, tmp_path / 'in.pth', tmp_path / 'out.pth')
