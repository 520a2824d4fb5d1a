"""Converting published checkpoints: what arrives, what is named when it does not fit."""

import pytest
import torch

from mmreg.commands.convert import main
from mmreg.converters import FAMILIES
from mmreg.registry import REGISTRARS
from tests.golden.fill import fill


def published(channels=8):
    """State dict of the generic network under its published names, with the buffers that are to be ignored."""
    widths = [(1, channels), (channels, 2 * channels), (2 * channels, channels)]
    state = {}
    for block, (inner, outer) in enumerate(widths):
        state[f'simple_encoder.{block}.layer.0.weight'] = (outer, inner, 3, 3, 3)
        state[f'simple_encoder.{block}.layer.0.bias'] = (outer,)
        state[f'simple_encoder.{block}.layer.2.weight'] = (1,)
    for level in range(5):
        for name, inner, outer in (('0', 2 * channels, 2 * channels), ('2', 2 * channels, 27)):
            state[f'disp_warp_{level}.disp_field_fea.{name}.weight'] = (outer, inner, 3, 3, 3)
            state[f'disp_warp_{level}.disp_field_fea.{name}.bias'] = (outer,)
        state[f'disp_warp_{level}.get_flow.weight'] = (3, 27, 3, 3, 3)
        state[f'disp_warp_{level}.get_flow.bias'] = (3,)
    weights = {f'module.{name}': torch.from_numpy(fill(name, shape)) for name, shape in state.items()}
    weights['module.transformers.0.grid'] = torch.zeros(1, 3, 4, 4, 4)
    weights['module.integrates.0.transformer.grid'] = torch.zeros(1, 3, 4, 4, 4)
    return weights


def test_a_published_file_becomes_ours(tmp_path, capsys):
    source, target = tmp_path / 'published.pth.tar', tmp_path / 'ours.pth'
    torch.save({'model_state_dict': published(), 'optimizer_state_dict': {'state': {}}}, source)
    assert main(['eoir', str(source), str(target)]) == 0
    content = torch.load(target, weights_only=True)
    assert 'channels' in capsys.readouterr().out
    model = REGISTRARS.build({'type': 'Registrar', **content['meta']['model']})
    model.load_state_dict(content['state_dict'])
    assert model.backbone.encoder.out_channels == 8


def test_keys_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(ValueError, match=r'decoder\.0\.weight'):
        FAMILIES['eoir'].convert(published() | {'decoder.0.weight': torch.zeros(1)})


def test_nothing_is_written_when_the_file_is_no_checkpoint(tmp_path, capsys):
    source, target = tmp_path / 'text.pth', tmp_path / 'ours.pth'
    source.write_text('no weights here')
    assert main(['eoir', str(source), str(target)]) == 2
    assert 'text.pth' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [source]
