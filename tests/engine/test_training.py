"""Options of a training run, and the hooks that watch over it."""

import io
import json
import logging
import math
import signal

import pytest
import torch
from mmengine.runner import Runner
from torch import nn

from mmreg.engine import PolynomialRounded
from mmreg.engine.hooks import CompileHook, ProgressHook
from mmreg.errors import ConfigError
from tests.engine.conftest import assert_same, last, log_text, scalars
from tests.engine.toy import ToyNet, write_config


def test_log_is_free_of_warnings_and_shows_every_term(tmp_path, train):
    assert train(write_config(tmp_path, length=2), tmp_path / 'w') == 0
    text = log_text(tmp_path / 'w')
    assert 'Failed to search registry' not in text and 'WARNING' not in text
    line = next(line for line in scalars(tmp_path / 'w') if 'loss' in line)
    assert math.isclose(line['loss'], line['similarity_loss'] + line['smoothness_loss'], rel_tol=1e-6)
    assert 'eta:' in text


def test_checkpoint_says_where_it_came_from(tmp_path, train):
    assert train(write_config(tmp_path, length=1), tmp_path / 'w', '--seed', 11) == 0
    meta = last(tmp_path / 'w')['meta']
    assert meta['seed'] == 11 and "type='ToyNet'" in meta['cfg'] and meta['versions']['torch'] == torch.__version__
    plan = json.loads((tmp_path / 'w/plan.json').read_text(encoding='utf-8'))
    assert plan['seed'] == 11 and plan['config'] == meta['cfg'] and plan['versions'] == meta['versions']
    assert meta['plan'] == {key: value for key, value in plan.items() if key != 'config'}


def test_kept_checkpoints_and_the_best(tmp_path, train):
    assert train(write_config(tmp_path, loop='iter', length=8, keep=3), tmp_path / 'w') == 0
    names = {path.name for path in (tmp_path / 'w').glob('*.pth')}
    assert {'iter_6.pth', 'iter_7.pth', 'iter_8.pth'} < names and len(names) == 4
    errors = [line['toy/error'] for line in scalars(tmp_path / 'w') if 'toy/error' in line]
    assert sum(name.startswith('best_toy_error') for name in names) == 1 and len(errors) == 2


@pytest.mark.filterwarnings('ignore:Detected call of')  # schedules count iterations, the optimizer every second one
def test_amp_on_the_cpu_trains_and_resumes(tmp_path, train):
    extra = 'optim_wrapper.update(accumulative_counts=2, clip_grad=dict(max_norm=1.0))\n'
    config = write_config(tmp_path, loop='iter', length=8, interval=4, extra=extra)
    assert train(config, tmp_path / 'whole', '--amp', '--no-validate') == 0
    losses = [line['loss'] for line in scalars(tmp_path / 'whole')]
    assert (
        all(map(math.isfinite, losses))
        and "type='MixedPrecisionOptimWrapper'" in last(tmp_path / 'whole')['meta']['cfg']
    )
    assert train(config, tmp_path / 'plain', '--no-validate') == 0
    plain = [line['loss'] for line in scalars(tmp_path / 'plain')]
    assert losses != plain and max(abs(a - b) for a, b in zip(losses, plain)) < 0.02
    assert train(config, tmp_path / 'again', '--amp', '--no-validate', '--resume', tmp_path / 'whole/iter_4.pth') == 0
    assert_same(last(tmp_path / 'whole'), last(tmp_path / 'again'))


def test_nan_stops_with_the_name_of_the_term(tmp_path, train, capsys):
    config = write_config(tmp_path, length=2, extra="train_dataloader['dataset'].update(poison=4)\n")
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert train(config, tmp_path / 'w') == 2
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before  # Ctrl-C works again
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "loss term 'similarity_loss' is nan" in error and 'case4' in error
    assert not list((tmp_path / 'w').glob('epoch_2.pth'))


@pytest.mark.parametrize(
    ('hook', 'kind'),
    [
        ('mean_loss', 'MeanLossHook'),
        ('graceful_stop', 'GracefulStopHook'),
        ('invalid_loss', 'CheckInvalidLossHook'),
        ('timer', 'IterTimerHook'),
    ],
)
def test_any_hook_is_turned_off_by_none(tmp_path, train, monkeypatch, hook, kind):
    """The engine's own hooks and ours alike, from the command line and from the config."""
    built = []
    register = Runner.register_hooks

    def registered(self, *args, **kwargs):
        register(self, *args, **kwargs)
        built.append(self)

    monkeypatch.setattr(Runner, 'register_hooks', registered)
    config = write_config(tmp_path, length=1)
    assert train(config, tmp_path / 'on') == 0
    assert train(config, tmp_path / 'off', '--cfg-options', f'+default_hooks.{hook}=None') == 0
    own = write_config(tmp_path / 'own', length=1, extra=f'default_hooks["{hook}"] = None\n')
    assert train(own, tmp_path / 'own_off') == 0
    assert [kind in {type(h).__name__ for h in runner.hooks} for runner in built] == [True, False, False]


def test_auto_scale_lr_no_validate_and_options(tmp_path, train):
    config = write_config(tmp_path, length=1, batch=3)
    options = ['--auto-scale-lr', '--no-validate', '--cfg-options', 'optim_wrapper.optimizer.lr=0.02']
    assert train(config, tmp_path / 'w', *options) == 0
    lines = scalars(tmp_path / 'w')
    assert lines[0]['lr'] == pytest.approx(0.02 * 3 / 2) and not any('toy/error' in line for line in lines)


def test_resume_without_checkpoint_starts_afresh(tmp_path, train, capsys):
    assert train(write_config(tmp_path, length=1), tmp_path / 'w', '--resume') == 0
    assert 'starting afresh' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--cfg-options', 'train_cfgs.max_epochs=1'], ["no key 'train_cfgs'", "'train_cfg'"]),
        (['--cfg-options', 'model.type=ToyNett'], ["type='ToyNett' is not a registered", "'ToyNet'"]),
        (['--cfg-options', 'model.chanels=3'], ['unexpected keyword argument', 'chanels']),
        (['--resume', 'nowhere.pth'], ['nowhere.pth', 'no such']),
        (['--auto-scale-lr', '--cfg-options', 'auto_scale_lr=None'], ['auto_scale_lr', 'missing']),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, train, capsys, options, words):
    assert train(write_config(tmp_path, length=1), tmp_path / 'w', *options) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and error[0].startswith('mmreg: error: ')
    assert all(word in error[0] for word in words), error[0]
    assert not list((tmp_path / 'w').glob('*.pth'))


def test_checkpoint_of_another_architecture_is_refused(tmp_path, train, capsys):
    assert train(write_config(tmp_path / 'a', length=1), tmp_path / 'a') == 0
    wider = write_config(tmp_path / 'b', length=1, extra='model.update(channels=6)\n')
    capsys.readouterr()
    assert train(wider, tmp_path / 'b', '--resume', tmp_path / 'a/epoch_1.pth') == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert 'another architecture' in error and '(4, 2, 3, 3)' in error and 'epoch_1.pth' in error


def test_polynomial_rounded_is_the_published_formula():
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([weight], lr=4e-4)
    schedule = PolynomialRounded(optimizer, power=0.9, end=201)
    rates = []
    for _ in range(201):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        schedule.step()
    assert rates == [round(4e-4 * (1 - epoch / 201) ** 0.9, 8) for epoch in range(201)]
    resumed = PolynomialRounded(optimizer, power=0.9, end=201)
    resumed.load_state_dict({**schedule.state_dict(), 'last_step': 99, '_global_step': 99})
    resumed.step()
    assert optimizer.param_groups[0]['lr'] == rates[100]


def test_compile_hook_names_what_does_not_exist():
    class Runner:
        model = ToyNet()

    with pytest.raises(ConfigError, match="no part 'bone', expected .*backbone"):
        CompileHook(['bone']).before_run(Runner)
    compiled = []
    Runner.model.backbone.compile = lambda **options: compiled.append(options)
    CompileHook(['backbone'], {'dynamic': False}).before_run(Runner)
    assert compiled == [{'dynamic': False}]


def test_progress_bar_shows_what_is_left(monkeypatch):
    from rich.console import Console

    from mmreg.engine.hooks import progress

    output = io.StringIO()
    monkeypatch.setattr(progress, 'Console', lambda: Console(file=output, force_terminal=True, width=120))

    class Runner:
        max_iters, iter = 8, 0
        logger = logging.Logger('toy')

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    Runner.logger.addHandler(handler)
    hook = ProgressHook()
    hook.before_train(Runner)
    assert handler.stream is not stream
    for Runner.iter in range(4):
        hook.after_train_iter(Runner, 0, outputs={'loss': torch.tensor(0.25)})
    hook.progress.refresh()
    hook.after_run(Runner)
    assert handler.stream is stream and hook.progress is None
    assert '4/8' in output.getvalue() and 'left' in output.getvalue() and 'loss 0.2500' in output.getvalue()
    quiet = ProgressHook(enabled=False)
    quiet.before_train(Runner)
    assert quiet.progress is None
