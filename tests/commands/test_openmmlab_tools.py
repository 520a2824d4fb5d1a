"""analyze-logs, browse-dataset, vis-scheduler, publish-model."""

import hashlib
import json

import numpy as np
import pytest
import torch

from mmreg.cli import main
from mmreg.commands.analyze_logs import curve_of, read_log
from mmreg.commands.vis_scheduler import learning_rates
from mmreg.plugins import register_all_modules
from mmreg.utils.config import load_config

DEMO = 'configs/gradirn_demo.py'
SMALL = [
    'train_cfg.max_iters=4',
    'train_cfg.val_interval=4',
    'train_dataloader.dataset.count=4',
    'val_dataloader.dataset.count=1',
]
SMALL += [
    'train_dataloader.dataset.size=(16,16)',
    'val_dataloader.dataset.size=(16,16)',
    'default_hooks.logger.interval=1',
]


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    work = tmp_path_factory.mktemp('work')
    options = [*SMALL, 'default_hooks.checkpoint.interval=4', 'default_hooks.visualization=None']
    assert main(['train', DEMO, '--work-dir', str(work), '--cfg-options', *options]) == 0
    return work


def test_curves_and_times(run, tmp_path, capsys):
    out = tmp_path / 'curve.png'
    assert main(['analyze-logs', 'plot_curve', str(run), '--keys', 'loss', 'lr', '--out', str(out)]) == 0
    assert out.read_bytes().startswith(b'\x89PNG')
    assert main(['analyze-logs', 'cal_train_time', str(run)]) == 0
    assert 's per iteration' in capsys.readouterr().out
    assert main(['analyze-logs', 'plot_curve', str(run), '--keys', 'los', '--out', str(tmp_path / 'no.png')]) == 2
    assert "no scalar 'los'" in capsys.readouterr().err and not (tmp_path / 'no.png').exists()
    assert main(['analyze-logs', 'cal_train_time', str(tmp_path)]) == 2


def test_what_a_resumed_run_logs_again_counts(tmp_path):
    for name, rows in (('1', [(1, 5.0), (2, 4.0), (3, 9.0)]), ('2', [(3, 3.0), (4, 2.0)])):
        folder = tmp_path / name / 'vis_data'
        folder.mkdir(parents=True)
        lines = [json.dumps({'loss': value, 'iter': step, 'step': step}) for step, value in rows]
        (folder / 'scalars.json').write_text('\n'.join(lines) + '\n')
    steps, values = curve_of(read_log(tmp_path), 'loss')
    assert steps.tolist() == [1, 2, 3, 4] and values.tolist() == [5.0, 4.0, 3.0, 2.0]


def test_published_model_infers_like_the_checkpoint(run, tmp_path, capsys):
    source = run / 'iter_4.pth'
    assert main(['publish-model', str(source), str(tmp_path / 'gradirn.pth')]) == 0
    (published,) = tmp_path.glob('gradirn_*.pth')
    digest = hashlib.sha256(published.read_bytes()).hexdigest()
    assert published.stem.endswith(f'-{digest[:8]}')
    content = torch.load(published, weights_only=True)
    assert set(content) == {'state_dict', 'meta'} and 'plan' in content['meta']
    assert published.stat().st_size < source.stat().st_size
    before = torch.load(source, weights_only=False)['state_dict']
    assert all(torch.equal(before[key], value) for key, value in content['state_dict'].items())
    options = ['--cfg-options', 'test_dataloader.dataset.count=1', 'test_dataloader.dataset.size=(16,16)']
    assert main(['test', DEMO, str(published), '--work-dir', str(tmp_path / 'w'), *options]) == 0
    assert main(['publish-model', str(tmp_path / 'none.pth'), str(tmp_path / 'x.pth')]) == 2
    assert main(['publish-model', str(source), str(tmp_path / 'x.zip')]) == 2


def test_browsing_draws_pairs(tmp_path):
    options = ['--cfg-options', 'train_dataloader.dataset.count=3']
    assert main(['browse-dataset', DEMO, '-o', str(tmp_path / 'seen'), '-n', '2', *options]) == 0
    names = sorted(path.name for path in (tmp_path / 'seen').iterdir())
    assert len(names) == 4 and names[0].startswith('0000_') and names[1].endswith('_labels.png')
    assert main(['browse-dataset', 'configs/register_brain_t1.py', '-o', str(tmp_path / 'none')]) == 2


def test_schedules_are_those_of_a_run(run, tmp_path, capsys):
    register_all_modules()
    _, logged = curve_of(read_log(run), 'lr')
    cfg = load_config(DEMO)
    cfg.train_cfg.max_iters = 4
    steps, rates = learning_rates(cfg, 1)
    assert len(steps) == 4
    np.testing.assert_allclose(rates[: len(logged)], logged, rtol=1e-6)
    lumir = load_config('configs/eoir_lumir.py')
    steps, rates = learning_rates(lumir, 10)
    assert len(rates) >= 2000 and rates[0] == pytest.approx(4e-4) and rates[-1] < 1e-5
    halfway = rates[np.searchsorted(steps, 1000)]
    assert halfway == pytest.approx(round(4e-4 * (1 - 100 / 201) ** 0.9, 8), rel=1e-3)
    arguments = ['--epoch-length', '10', '-o', str(tmp_path / 'lr.png')]
    assert main(['vis-scheduler', 'configs/eoir_lumir.py', *arguments]) == 0
    assert (tmp_path / 'lr.png').is_file() and 'learning rate' in capsys.readouterr().out
    assert main(['vis-scheduler', 'configs/register_brain_t1.py']) == 2
