"""A resume that changes the length, the schedules or the learning rate: followed from there on, and said."""

import pytest

from tests.engine.conftest import assert_equal, last, scalars
from tests.engine.toy import write_config

SEVERAL = (
    "[dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=4),"
    " dict(type='CosineAnnealingLR', by_epoch={by_epoch}, begin={begin})]"
)
MOMENTUM = "[dict(type='CosineAnnealingLR', by_epoch=False), dict(type='CosineAnnealingMomentum', by_epoch=False)]"
ONE_CYCLE = "[dict(type='OneCycleLR', eta_max=0.1, total_steps={steps}, by_epoch=False)]"


def rates(work_dir, key='lr'):
    """A scheduled value of every iteration, in the order in which they were written."""
    return [line[key] for line in scalars(work_dir) if key in line and 'loss' in line]


def config(folder, loop, length, schedule, extra=''):
    by_epoch = loop == 'epoch'
    steps = 3 * length if by_epoch else length
    text = schedule.format(by_epoch=by_epoch, begin=2 if by_epoch else 4, steps=steps)
    return write_config(
        folder / f'{loop}{length}', loop=loop, length=length, extra=f'param_scheduler = {text}\n{extra}'
    )


@pytest.mark.parametrize('loop', ['epoch', 'iter'])
@pytest.mark.parametrize('schedule', [SEVERAL, MOMENTUM, ONE_CYCLE], ids=['several', 'momentum', 'one cycle'])
@pytest.mark.parametrize(('planned', 'meant'), [(6, 4), (4, 6)], ids=['fewer', 'more'])
def test_another_length(tmp_path, train, loop, schedule, planned, meant):
    """Broken off after three epochs (nine iterations), then resumed with fewer or more than were planned."""
    factor = 1 if loop == 'epoch' else 3
    stop = "custom_hooks = [dict(type='DisturbHook', at=10)]\n"
    broken = config(tmp_path / 'broken', loop, planned * factor, schedule, stop)
    with pytest.raises(RuntimeError, match='crash on purpose'):
        train(broken, tmp_path / 'run')
    assert last(tmp_path / 'run')['meta']['iter'] == 9
    other = config(tmp_path, loop, meant * factor, schedule)
    assert train(other, tmp_path / 'run', '--resume') == 0
    assert train(other, tmp_path / 'whole') == 0
    resumed, whole = rates(tmp_path / 'run'), rates(tmp_path / 'whole')
    assert len(whole) == 3 * meant and len(set(whole)) > 3
    assert resumed[-3 * meant + 9 :] == pytest.approx(whole[9:], rel=1e-6)
    groups = [last(tmp_path / name)['optimizer']['param_groups'] for name in ('run', 'whole')]
    assert_equal(*({key: group[0][key] for key in ('lr', 'betas')} for group in groups))


@pytest.mark.parametrize(('loop', 'length', 'fewer'), [('epoch', 4, 2), ('iter', 8, 5)])
def test_fewer_than_were_done(tmp_path, train, loop, length, fewer, capfd):
    """Nothing is trained and nothing is lost; the end is said."""
    assert train(write_config(tmp_path / 'long', loop=loop, length=length), tmp_path / 'run') == 0
    before = last(tmp_path / 'run')
    capfd.readouterr()
    assert train(write_config(tmp_path / 'short', loop=loop, length=fewer), tmp_path / 'run', '--resume') == 0
    log = capfd.readouterr()
    unit = 'epochs' if loop == 'epoch' else 'iterations'
    assert f'{length} {unit} were trained, which is more than the {fewer}' in log.out + log.err
    after = last(tmp_path / 'run')
    assert_equal(before['state_dict'], after['state_dict'])
    assert before['meta']['iter'] == after['meta']['iter']


def test_another_learning_rate(tmp_path, train, capfd):
    """The optimiser's state is restored whole; a rate that the config has and the state has not is taken up."""
    short, long = (write_config(tmp_path / str(n), length=n) for n in (2, 4))
    assert train(short, tmp_path / 'run') == 0
    capfd.readouterr()
    options = ['--cfg-options', 'optim_wrapper.optimizer.lr=0.002']
    assert train(long, tmp_path / 'run', '--resume', *options) == 0
    log = capfd.readouterr()
    assert 'lr 0.01 became 0.002' in ' '.join((log.out + log.err).split())
    assert train(long, tmp_path / 'whole', *options) == 0
    assert rates(tmp_path / 'run')[6:] == pytest.approx(rates(tmp_path / 'whole')[6:], rel=1e-6)


@pytest.mark.parametrize('loop', ['epoch', 'iter'])
def test_average_weights_and_accumulation_resume_exactly(tmp_path, train, loop):
    """Broken off between two steps of the optimiser: the averaged weights and what follows are those of a whole run."""
    extra = "custom_hooks = [dict(type='EMAHook', momentum=0.1){more}]\noptim_wrapper.update(accumulative_counts=2)\n"
    length = 4 if loop == 'epoch' else 12
    settings = dict(loop=loop, length=length, interval=1 if loop == 'epoch' else 3)
    whole = write_config(tmp_path / 'a', **settings, extra=extra.format(more=''))
    broken = write_config(tmp_path / 'b', **settings, extra=extra.format(more=", dict(type='DisturbHook', at=8)"))
    assert train(whole, tmp_path / 'whole') == 0
    with pytest.raises(RuntimeError, match='crash on purpose'):
        train(broken, tmp_path / 'run')
    assert train(whole, tmp_path / 'run', '--resume') == 0
    first, second = last(tmp_path / 'whole'), last(tmp_path / 'run')
    assert first['meta']['iter'] == second['meta']['iter'] == 12
    assert_equal(first['ema_state_dict'], second['ema_state_dict'])
    assert_equal(first['state_dict'], second['state_dict'])


def test_other_schedules_and_none(tmp_path, train, capfd):
    """A schedule of another kind, then no schedule: what the config says holds, and is said."""
    assert train(config(tmp_path / 'a', 'epoch', 2, "[dict(type='LinearLR', start_factor=0.1)]"), tmp_path / 'run') == 0
    for number, (length, schedule) in enumerate(((4, "[dict(type='ExponentialLR', gamma=0.5)]"), (6, '[]'))):
        other = config(tmp_path / f'b{number}', 'epoch', length, schedule)
        capfd.readouterr()
        assert train(other, tmp_path / 'run', '--resume') == 0
        log = capfd.readouterr()
        assert 'schedules of another kind' in log.out + log.err
        assert train(other, tmp_path / f'whole{number}') == 0
        assert rates(tmp_path / 'run')[-6:] == pytest.approx(rates(tmp_path / f'whole{number}')[-6:], rel=1e-6)
