"""Weights & Biases without an account."""

import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config

from mmreg.visualization.backends import WandbVisBackend, wandb_mode


@pytest.fixture
def no_account(monkeypatch, tmp_path):
    for name in ('WANDB_API_KEY', 'WANDB_MODE', 'WANDB_BASE_URL'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('HOME', str(tmp_path))


@pytest.fixture
def wandb(monkeypatch):
    """A stand-in that records what it is told."""
    calls = []
    run = SimpleNamespace(log_code=lambda **kw: calls.append(('code', kw)))
    module = SimpleNamespace(
        init=lambda **kw: calls.append(('init', kw)),
        log=lambda values, commit: calls.append(('log', values)),
        finish=lambda: calls.append(('finish', {})),
        config=SimpleNamespace(update=lambda values, **kw: calls.append(('config', values))),
        Image=lambda array: ('image', array.shape),
        run=run,
    )
    monkeypatch.setitem(sys.modules, 'wandb', module)
    return calls


def test_mode_never_leads_to_a_login_prompt(no_account, monkeypatch, tmp_path):
    assert wandb_mode() == 'offline'
    (tmp_path / '.netrc').write_text('machine api.wandb.ai login user password key\n')
    (tmp_path / '.netrc').chmod(0o600)
    assert wandb_mode() == 'online'
    monkeypatch.setenv('WANDB_MODE', 'disabled')
    assert wandb_mode() == 'disabled'


@pytest.mark.parametrize('host', ['api.wandb.ai', 'api.forge.coreweave.com'])
def test_a_login_is_found_where_this_version_of_wandb_left_it(host, no_account, monkeypatch, tmp_path):
    (tmp_path / '.netrc').write_text(f'machine {host} login user password key\n')
    (tmp_path / '.netrc').chmod(0o600)
    assert wandb_mode() == 'online'
    monkeypatch.setenv('WANDB_BASE_URL', 'https://wandb.example.org')
    assert wandb_mode() == 'offline'


def test_offline_reports_no_errors_of_its_own(no_account, wandb, tmp_path, monkeypatch):
    monkeypatch.setenv('WANDB_ERROR_REPORTING', '')
    monkeypatch.delenv('WANDB_ERROR_REPORTING')
    WandbVisBackend(str(tmp_path / 'work/x/vis_data')).add_scalars({'loss': 1.0}, step=1)
    assert os.environ['WANDB_ERROR_REPORTING'] == 'false'


def test_run_id_is_kept_for_a_resume(no_account, wandb, tmp_path):
    ids = []
    for stamp in ('first', 'second'):
        backend = WandbVisBackend(str(tmp_path / 'work' / stamp / 'vis_data'), init_kwargs=dict(project='p'))
        backend.add_config(Config(dict(x=1)))
        backend.add_scalars({'loss': 1.0, 'lr': 0.1}, step=5)
        backend.add_scalars({'reg/dice': 0.5}, step=2)
        backend.add_image('a', np.zeros((2, 3, 3), np.uint8), step=9)
        backend.close()
        ids.append(next(kw for name, kw in wandb if name == 'init')['id'])
    assert ids[0] == ids[1] == (tmp_path / 'work/wandb_run_id').read_text(encoding='utf-8')
    init = wandb[0][1]
    assert init['mode'] == 'offline' and init['project'] == 'p'
    logged = [values for name, values in wandb if name == 'log'][:3]
    assert logged[0] == {'iter': 5, 'loss': 1.0, 'lr': 0.1} and logged[1] == {'val_step': 2, 'reg/dice': 0.5}
    assert logged[2]['val_step'] == 9 and not any(name == 'code' for name, _ in wandb)


@pytest.mark.slow
def test_real_wandb_offline(no_account, tmp_path, monkeypatch):
    pytest.importorskip('wandb')
    monkeypatch.setenv('WANDB_SILENT', 'true')
    backend = WandbVisBackend(str(tmp_path / 'w/s/vis_data'))
    backend.add_scalars({'loss': 1.0}, step=1)
    backend.close()
    assert list((tmp_path / 'w/s/vis_data/wandb').glob('offline-run-*'))
