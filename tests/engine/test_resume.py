"""A run that was broken off in any way and resumed equals one that was not, bit for bit."""

import signal
import time
from pathlib import Path

import pytest

from mmreg.commands.shared.launch import latest_checkpoint
from tests.engine.conftest import assert_same, last, log_text, scalars
from tests.engine.toy import write_config


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize(
    ('loop', 'length', 'save_by_epoch', 'crash_at'),
    [('iter', 8, False, 6), ('epoch', 3, True, 8), ('epoch', 3, False, 6)],
    ids=['iter', 'epoch', 'mid-epoch'],
)
def test_crash_and_resume(tmp_path, train, loop, length, save_by_epoch, crash_at, workers):
    settings = dict(
        loop=loop, length=length, workers=workers, save_by_epoch=save_by_epoch, interval=1 if save_by_epoch else 2
    )
    whole = write_config(tmp_path / 'a', **settings)
    assert train(whole, tmp_path / 'whole') == 0
    broken = write_config(
        tmp_path / 'b', **settings, extra=f"custom_hooks = [dict(type='DisturbHook', at={crash_at})]\n"
    )
    with pytest.raises(RuntimeError, match='crash on purpose'):
        train(broken, tmp_path / 'broken')
    assert last(tmp_path / 'broken')['meta']['iter'] < crash_at
    assert train(whole, tmp_path / 'broken', '--resume') == 0
    assert_same(last(tmp_path / 'whole'), last(tmp_path / 'broken'))
    losses = {line['iter']: line['loss'] for line in scalars(tmp_path / 'whole') if 'loss' in line}
    again = {line['iter']: line['loss'] for line in scalars(tmp_path / 'broken') if 'loss' in line}
    assert losses.keys() == again.keys() and len(losses) == (length if loop == 'iter' else 3 * length)


def test_noise_differs_between_epochs_and_not_between_workers(tmp_path, train, monkeypatch):
    draws = {}
    for workers in (0, 2):
        log = tmp_path / f'draws{workers}'
        monkeypatch.setenv('TOY_LOG', str(log))
        config = write_config(tmp_path, length=3, workers=workers)
        assert train(config, tmp_path / f'w{workers}', '--no-validate') == 0
        draws[workers] = {
            tuple(line.split()[:2]): line.split()[2] for line in log.read_text(encoding='utf-8').splitlines()
        }
    assert draws[0] == draws[2]
    assert len(draws[0]) == 18 and len(set(draws[0].values())) == 18  # 3 epochs of 6 cases, all different


def test_sigint_saves_and_continues(tmp_path, train):
    settings = dict(length=3, workers=2)
    whole = write_config(tmp_path / 'a', **settings)
    assert train(whole, tmp_path / 'whole') == 0
    stopped = write_config(
        tmp_path / 'b',
        **settings,
        extra=f"custom_hooks = [dict(type='DisturbHook', at=5, signal={int(signal.SIGINT)})]\n",
    )
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as stop:
        train(stopped, tmp_path / 'stopped')
    assert stop.value.code == 128 + signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is before
    assert Path((tmp_path / 'stopped/last_checkpoint').read_text(encoding='utf-8')).name == 'interrupt_iter_5.pth'
    assert 'Continue with --resume' in log_text(tmp_path / 'stopped')
    assert train(whole, tmp_path / 'stopped', '--resume') == 0
    assert_same(last(tmp_path / 'whole'), last(tmp_path / 'stopped'))


SLOW_WRITER = """
import time
from pathlib import Path
import mmreg.utils.atomic as atomic

real = atomic.write_bytes

def write_bytes(path, data):
    if Path(path).name == 'iter_6.pth':
        with atomic.replacing(path) as temporary:
            temporary.write_bytes(data[: len(data) // 2])
            Path({marker!r}).touch()
            time.sleep(120)
    real(path, data)

atomic.write_bytes = write_bytes
"""


@pytest.mark.parametrize('moment', ['training', 'writing'])
def test_sigkill(tmp_path, train, spawn, moment):
    config = write_config(tmp_path, loop='iter', length=10, workers=0)
    marker = tmp_path / ('killed/iter_5.pth' if moment == 'training' else 'half_written')
    plugin = tmp_path / 'slow_writer.py'
    plugin.write_text(SLOW_WRITER.format(marker=str(marker)) if moment == 'writing' else '')
    process = spawn(config, tmp_path / 'killed', '--plugin', plugin, TOY_SLEEP=0.05)
    deadline = time.monotonic() + 300
    while not marker.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, output
    assert latest_checkpoint(tmp_path / 'killed').name in ('iter_4.pth', 'iter_5.pth', 'iter_6.pth')
    leftovers = list((tmp_path / 'killed').glob('.*.tmp.*'))
    if moment == 'writing':
        assert len(leftovers) == 1 and not (tmp_path / 'killed/iter_6.pth').exists()
    assert train(config, tmp_path / 'whole') == 0
    assert train(config, tmp_path / 'killed', '--resume') == 0
    assert_same(last(tmp_path / 'whole'), last(tmp_path / 'killed'))
    assert not list((tmp_path / 'killed').glob('.*.tmp.*'))


def test_damaged_last_checkpoint_falls_back(tmp_path, train):
    config = write_config(tmp_path, loop='iter', length=6)
    assert train(config, tmp_path / 'w') == 0
    newest = Path((tmp_path / 'w/last_checkpoint').read_text(encoding='utf-8'))
    newest.write_bytes(newest.read_bytes()[:2000])
    assert latest_checkpoint(tmp_path / 'w').name == 'iter_5.pth'
    (tmp_path / 'w/last_checkpoint').write_text('')
    assert latest_checkpoint(tmp_path / 'w').name == 'iter_5.pth'
    moved = (tmp_path / 'w').rename(tmp_path / 'moved')
    (moved / 'last_checkpoint').write_text(str(tmp_path / 'w/iter_5.pth'))
    assert latest_checkpoint(moved) == moved / 'iter_5.pth'
    assert latest_checkpoint(tmp_path / 'nowhere') is None


def test_a_kill_in_validation_loses_nothing_where_the_interval_wrote_no_checkpoint(tmp_path, train):
    extra = 'val_evaluator = dict(type="ToyError", fail_at=2, failure="interrupt")\n'
    config = write_config(tmp_path, length=4, interval=4, extra=extra)
    assert train(config, tmp_path / 'run') == 130
    assert Path((tmp_path / 'run' / 'last_checkpoint').read_text(encoding='utf-8')).name == ('before_validation.pth')
    assert last(tmp_path / 'run')['meta']['epoch'] == 2
    whole = write_config(tmp_path / 'whole', length=4, interval=4)
    assert train(whole, tmp_path / 'run', '--resume') == 0 and train(whole, tmp_path / 'other') == 0
    assert_same(last(tmp_path / 'run'), last(tmp_path / 'other'))


def test_a_metric_that_fails_ends_the_validation_not_the_training(tmp_path, train, capfd):
    config = write_config(tmp_path, length=3, extra='val_evaluator = dict(type="ToyError", fail_at=2)\n')
    assert train(config, tmp_path / 'run') == 0
    assert last(tmp_path / 'run')['meta']['epoch'] == 3
    log = capfd.readouterr()
    text = log.out + log.err
    assert 'Validation failed at iteration 6, the training goes on: RuntimeError: crash in validation' in text
    assert 'Trained to the end; 1 validation failed' in text
    assert len([s for s in scalars(tmp_path / 'run') if 'toy/error' in s]) == 2


def test_missed_validation_is_done_on_resume(tmp_path, train):
    """The checkpoint of an epoch is written before its validation; a kill in between must not lose the best model."""
    config = write_config(tmp_path / 'a', length=2)
    assert train(config, tmp_path / 'whole') == 0
    broken = write_config(tmp_path / 'b', length=2, extra='val_evaluator = dict(type="ToyError", fail_at=2)\n')
    assert train(broken, tmp_path / 'broken') == 0, 'the failure of a metric ends the validation only'
    assert train(config, tmp_path / 'broken', '--resume') == 0
    best = [sorted(p.name for p in (tmp_path / d).glob('best_*')) for d in ('whole', 'broken')]
    assert best[0] == best[1] != []
    errors = [[s['toy/error'] for s in scalars(tmp_path / d) if 'toy/error' in s] for d in ('whole', 'broken')]
    assert errors[0] == errors[1] and len(errors[0]) == 2


def _rates(work_dir):
    """Learning rate of every iteration, in the order in which they were written."""
    return [s['lr'] for s in scalars(work_dir) if 'lr' in s and 'loss' in s]


@pytest.mark.parametrize('schedule', ['PolynomialRounded', 'PolyLR', 'CosineAnnealingLR', 'LinearLR'])
@pytest.mark.parametrize('loop', ['epoch', 'iter'])
def test_schedules_follow_the_length_of_a_resumed_run(tmp_path, train, schedule, loop, capfd):
    """Two epochs (six iterations), then twice as many: the rates from there on are those of the long run."""
    short, long = (2, 4) if loop == 'epoch' else (6, 12)
    kind = f"dict(type='{schedule}', by_epoch={loop == 'epoch'}"
    kind += {'PolynomialRounded': ', power=0.9)', 'LinearLR': ', start_factor=0.1)'}.get(schedule, ')')
    extra = f'param_scheduler = [{kind}]\n'
    configs = {n: write_config(tmp_path / str(n), loop=loop, length=n, extra=extra) for n in (short, long)}
    assert train(configs[short], tmp_path / 'run') == 0
    capfd.readouterr()
    assert train(configs[long], tmp_path / 'run', '--resume') == 0
    log = capfd.readouterr()
    text = log.out + log.err
    assert train(configs[long], tmp_path / 'whole') == 0
    resumed, whole = _rates(tmp_path / 'run'), _rates(tmp_path / 'whole')
    assert len(resumed) == len(whole) == 12 and resumed[6:] == pytest.approx(whole[6:], rel=1e-6)
    assert len(set(resumed[6:])) > 1 and 'Resumed with other schedules than before' in text
    assert train(configs[long], tmp_path / 'run', '--resume') == 0
    log = capfd.readouterr()
    assert 'Resumed with other schedules' not in log.out + log.err
