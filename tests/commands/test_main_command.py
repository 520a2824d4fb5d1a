"""The main command from end to end on LUMIR as the challenge ships it: JSON with unlabelled validation pairs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from mmreg.cli import main
from mmreg.io import read_learn2reg_nifti
from mmreg.utils.checkpoint import read_checkpoint
from tests.made import lumir

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / 'configs' / 'eoir_lumir.py')
SMALL = (
    'model.backbone.encoder.channels=4', 'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0',
    'test_dataloader.num_workers=0',
)  # fmt: skip


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return lumir.make_lumir(tmp_path_factory.mktemp('LUMIR'))


def tool(name: str, *argv: object) -> subprocess.Popen:
    """A script of ``tools/`` in a process of its own."""
    command = [sys.executable, str(ROOT / 'tools' / name), *map(str, argv)]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def run(name: str, *argv: object) -> str:
    process = tool(name, *argv)
    text = process.communicate()[0]
    assert process.returncode == 0, text[-4000:]
    return text


def options(data: Path, *more: str) -> list[str]:
    return ['--cfg-options', f'data_root={data}', *SMALL, *more]


def scalars(work_dir: Path) -> list[dict]:
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    return [json.loads(line) for file in files for line in file.read_text(encoding='utf-8').splitlines()]


@pytest.mark.slow
def test_lumir_from_its_own_json(data, tmp_path):
    """Train, kill, resume, test, inference, package, evaluate; no labels anywhere but in the challenge's own folder."""
    work_dir = tmp_path / 'work'
    train = [CONFIG, '--work-dir', work_dir, *options(data, 'train_cfg.max_epochs=2')]
    process = tool('train.py', *train)
    deadline = time.monotonic() + 300
    while not (work_dir / 'before_validation.pth').is_file() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)  # in the first validation or soon after it
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    text = run('train.py', *train, '--resume')
    assert 'resuming from' in text
    assert 'dice: none of the 3 pairs has moving_labels and fixed_labels, so it is not measured' in text
    assert 'reg/dice was not measured; the best checkpoint is the one with the largest reg/ncc' in text
    checkpoint = work_dir / 'epoch_2.pth'
    assert read_checkpoint(checkpoint)['meta']['epoch'] == 2
    assert list(work_dir.glob('best_reg_ncc_epoch_*.pth'))
    validated = [line for line in scalars(work_dir) if 'reg/ncc' in line]
    assert (
        validated and {'reg/ncc', 'reg/sdlogj', 'reg/folds_percent', 'reg/ndv_percent', 'time'} <= validated[-1].keys()
    )
    assert not any(key.startswith('reg/dice') for line in validated for key in line)

    tested = tmp_path / 'tested'
    text = run('test.py', CONFIG, checkpoint, '--work-dir', tmp_path / 't', '--out', tested, *options(data))
    assert 'dice: none of the 3 pairs' in text and 'reg/ncc' in text
    metrics = json.loads((tested / 'summary.json').read_text(encoding='utf-8'))['metrics']
    assert {'reg/ncc', 'reg/sdlogj', 'reg/ndv_percent'} <= metrics.keys()

    fields = tmp_path / 'fields'
    infer = [CONFIG, '-c', checkpoint, '--pairs', data / 'LUMIR_dataset.json', '--layout', 'lumir', '--out', fields]
    run('inference.py', *infer, '--cfg-options', SMALL[0])
    stems = [f'disp_{fixed}_{moving}' for fixed, moving in lumir.SEGMENTED + lumir.LANDMARKED]
    assert sorted(path.name for path in fields.glob('disp_*')) == sorted(f'{stem}.nii.gz' for stem in stems)
    assert read_learn2reg_nifti(fields / f'{stems[0]}.nii.gz').shape == (3, *lumir.SHAPE)

    archive = tmp_path / 'submission.zip'
    packed = ['package', fields, '--challenge', 'lumir', '--dataset', data / 'LUMIR_dataset.json', '-o', archive]
    assert main([str(word) for word in packed]) == 0
    with zipfile.ZipFile(archive) as content:
        assert sorted(content.namelist()) == sorted(f'submission/{stem}.nii.gz' for stem in stems)
    assert main(['package', str(archive), *(str(word) for word in packed[2:6])]) == 0

    truth = lumir.make_truth(tmp_path / 'truth')
    scores = tmp_path / 'scores.json'
    assert main(['evaluate', str(fields), str(truth), '-o', str(scores)]) == 0
    aggregates = json.loads(scores.read_text(encoding='utf-8'))['aggregates']
    assert {'DSC', 'HD95', 'TRE_lm', 'Non-diffeomorphic Volumes'} <= aggregates.keys()
