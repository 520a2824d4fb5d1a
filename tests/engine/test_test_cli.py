"""`mmreg test`: the table, the files, and checkpoints that do not fit."""

import json

from mmreg.cli import main
from mmreg.commands.test import tabulate
from tests.engine.conftest import TOY
from tests.engine.toy import write_config


def test_test_prints_and_writes(tmp_path, train, capsys):
    config = write_config(tmp_path, length=1)
    assert train(config, tmp_path / 'w') == 0
    capsys.readouterr()
    argv = ['test', str(config), str(tmp_path / 'w/epoch_1.pth'), '--plugin', TOY, '--work-dir', str(tmp_path / 't')]
    code = main([*argv, '--out', str(tmp_path / 'out'), '--show-dir', str(tmp_path / 'show')])
    assert code == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith('toy/error')]
    summary = json.loads((tmp_path / 'out/summary.json').read_text(encoding='utf-8'))
    assert float(table[0][2]) == round(summary['metrics']['toy/error'], 4)
    assert summary['checkpoint'].endswith('epoch_1.pth') and summary['versions']['mmreg']
    assert sorted(path.name for path in (tmp_path / 'show').iterdir()) == ['test_0_case0.png', 'test_1_case1.png']
    wider = [*argv[:3], *argv[3:], '--cfg-options', 'model.channels=5']
    assert main(wider) == 2
    assert 'another architecture' in capsys.readouterr().err


def test_per_case_files_of_case_metrics(tmp_path, train):
    extra = "test_evaluator = [dict(type='ToyError'), dict(type='JacobianMetric')]\n"
    config = write_config(tmp_path, length=1, extra=extra)
    assert train(config, tmp_path / 'w') == 0
    argv = ['test', str(config), str(tmp_path / 'w/epoch_1.pth'), '--plugin', TOY, '--work-dir', str(tmp_path / 't')]
    assert main([*argv, '--out', str(tmp_path / 'out')]) == 0
    tables = list((tmp_path / 'out').glob('*.csv'))
    assert len(tables) == 1 and {'case0', 'case1'} <= {
        row.split(',')[0] for row in tables[0].read_text(encoding='utf-8').splitlines()
    }


def test_tabulate_pairs_scores():
    metrics = {'reg/dice': 0.8, 'reg/dice_sd': 0.1, 'reg/initial_dice': 0.5, 'reg/dice_missing': 0.0, 'time': 1.0}
    assert tabulate(metrics) == [('reg/dice', '0.5000', '0.8000', '0.1000')]
    assert tabulate({'x': float('nan')}) == [('x', '-', '-', '-')]
