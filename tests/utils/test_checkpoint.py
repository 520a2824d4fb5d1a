"""Checkpoints: what is read, what is refused and in which words."""

import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import _load_checkpoint
from torch import nn

from mmreg.errors import CheckpointError
from mmreg.utils import compat  # noqa: F401
from mmreg.utils.checkpoint import check_architecture, is_readable, load_weights, read_checkpoint


class Evil:
    """Runs a command when unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.system, (f'touch {self.marker}',)


@pytest.fixture
def model():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def _message(error):
    text = str(error.value)
    assert '\n' not in text and text.endswith('.')
    return text


def test_engine_checkpoint_with_histories_and_numpy(tmp_path, model):
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    content = {
        'state_dict': model.state_dict(),
        'meta': {'epoch': 1},
        'message_hub': {'log_scalars': {'train/loss': history}},
        'extra': {'array': np.arange(3.0), 'scalar': np.float32(2.5), 'flag': np.bool_(True)},
    }
    torch.save(content, tmp_path / 'a.pth')
    for found in (read_checkpoint(tmp_path / 'a.pth'), _load_checkpoint(str(tmp_path / 'a.pth'), 'cpu')):
        assert found['message_hub']['log_scalars']['train/loss'].mean() == 1.5
        assert found['extra']['scalar'] == 2.5 and found['extra']['array'].tolist() == [0, 1, 2]
    assert load_weights(model, tmp_path / 'a.pth') == {'epoch': 1}


@pytest.mark.parametrize('write', [torch.save, lambda obj, path: path.write_bytes(pickle.dumps(obj, 2))])
def test_code_in_a_pickle_never_runs(tmp_path, write):
    write({'state_dict': {'w': torch.ones(1)}, 'x': Evil(tmp_path / 'ran')}, tmp_path / 'evil.pth')
    with pytest.raises(CheckpointError) as error:
        read_checkpoint(tmp_path / 'evil.pth')
    assert 'evil.pth' in _message(error)
    with pytest.raises(CheckpointError):
        _load_checkpoint(str(tmp_path / 'evil.pth'), 'cpu')
    assert not (tmp_path / 'ran').exists()


def test_code_is_named(tmp_path):
    torch.save({'state_dict': {'w': torch.ones(1)}, 'x': Evil(tmp_path / 'ran')}, tmp_path / 'evil.pth')
    with pytest.raises(CheckpointError, match="holds the Python object 'posix.system'") as error:
        read_checkpoint(tmp_path / 'evil.pth')
    _message(error)


def test_getattr_is_not_a_way_in(tmp_path):
    class Get:
        def __reduce__(self):
            return getattr, (HistoryBuffer, '__init__')

    torch.save({'w': torch.ones(1), 'x': Get()}, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match='a.pth'):
        read_checkpoint(tmp_path / 'a.pth')


def test_damaged_files(tmp_path, model):
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'whole.pth')
    data = (tmp_path / 'whole.pth').read_bytes()
    cases = {
        'half.pth': (data[: len(data) // 2], 'truncated or damaged'),
        'empty.pth': (b'', 'is empty'),
        'text.pth': (b'hello world, no weights here', 'is not a checkpoint'),
        'image.pth': (b'\x5c\x01\x00\x00' + bytes(400), 'is not a checkpoint'),
    }
    for name, (content, words) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=words) as error:
            read_checkpoint(tmp_path / name)
        assert name in _message(error)
        assert not is_readable(tmp_path / name)
    assert is_readable(tmp_path / 'whole.pth')
    with pytest.raises(CheckpointError, match='no such'):
        read_checkpoint(tmp_path / 'nowhere.pth')
    torch.save({'only': 'words'}, tmp_path / 'words.pth')
    with pytest.raises(CheckpointError, match='without any weights'):
        read_checkpoint(tmp_path / 'words.pth')


def test_bare_weights_and_wrapped_names(tmp_path, model):
    torch.save({f'module.{k}': v + 1 for k, v in model.state_dict().items()}, tmp_path / 'a.pth')
    expected = {k: v + 1 for k, v in model.state_dict().items()}
    assert load_weights(model, tmp_path / 'a.pth') == {}
    for key, value in model.state_dict().items():
        assert torch.equal(value, expected[key])


def test_safetensors(tmp_path, model):
    save_file = pytest.importorskip('safetensors.torch').save_file
    weights = {k: v + 1 for k, v in model.state_dict().items()}
    save_file(weights, tmp_path / 'a.safetensors')
    load_weights(model, tmp_path / 'a.safetensors')
    assert torch.equal(model.state_dict()['0.weight'], weights['0.weight'])
    (tmp_path / 'b.safetensors').write_bytes(b'nothing')
    with pytest.raises(CheckpointError, match='b.safetensors'):
        read_checkpoint(tmp_path / 'b.safetensors')


def test_another_architecture_names_keys_and_counts(tmp_path, model):
    other = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
    with pytest.raises(CheckpointError) as error:
        check_architecture(model, other.state_dict(), 'other.pth')
    text = _message(error)
    assert 'other.pth belongs to another architecture: of the 6 weights of Sequential' in text
    assert '6 of another shape (first 0.weight: (4, 1, 3, 3) in the file, (2, 1, 3, 3) in the model)' in text
    assert '2 unknown (2.weight, 2.bias)' in text
    with pytest.raises(CheckpointError, match='2 missing .0.weight, 0.bias'):
        check_architecture(model, {k: v for k, v in model.state_dict().items() if k.startswith('1')}, 'x')
