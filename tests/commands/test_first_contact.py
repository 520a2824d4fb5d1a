"""A newcomer without data reads one screen, and a failed start leaves nothing behind."""

import pytest

from mmreg.cli import main
from tests.engine.conftest import TOY
from tests.engine.toy import write_config


@pytest.mark.parametrize('command', ['train', 'test'])
@pytest.mark.parametrize('config', ['eoir_lumir', 'gradirn_acdc', 'spine_mind'])
def test_no_data_is_one_sentence(command, config, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('MMREG_DATA', raising=False)
    assert main([command, config]) == 2
    out, err = capfd.readouterr()
    assert len(out.splitlines()) + len(err.splitlines()) <= 3
    for text in ('MMREG_DATA is not set', 'docs/datasets.md', 'mmreg data check', 'mmreg demo', 'data_root'):
        assert text in err
    assert not list(tmp_path.iterdir())


def test_the_folder_of_all_data_is_named(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('MMREG_DATA', str(tmp_path / 'mine'))
    assert main(['train', 'eoir_lumir']) == 2
    assert str(tmp_path / 'mine') in capfd.readouterr().err


def test_the_wall_is_in_the_log_file(tmp_path, capfd):
    config = write_config(tmp_path, length=1)
    assert main(['train', str(config), '--plugin', TOY, '--work-dir', str(tmp_path / 'w')]) == 0
    out, err = capfd.readouterr()
    shown = out + err
    assert 'System environment' not in shown and 'Hooks will be executed' not in shown
    (log,) = (tmp_path / 'w').glob('*/*.log')
    text = log.read_text(encoding='utf-8')
    assert 'System environment' in text and 'Hooks will be executed' in text
    assert 'Epoch' in shown, 'the training itself is on the screen'


def test_a_start_that_is_refused_later_leaves_no_folder(tmp_path, capfd):
    config = write_config(tmp_path, length=1)
    wrong = ['--cfg-options', 'optim_wrapper.optimizer.type=NoSuchOptimiser']
    assert main(['train', str(config), '--plugin', TOY, '--work-dir', str(tmp_path / 'deep/w'), *wrong]) == 2
    assert 'NoSuchOptimiser' in capfd.readouterr().err
    assert not (tmp_path / 'deep').exists()
