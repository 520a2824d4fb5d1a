"""Engines: whoever registers the cases of a list, the results are those of one process."""

import csv
import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import nullcontext

import numpy as np
import pytest

from mmreg.cli import main
from mmreg.io import Geometry, Volume, read_displacement_image, write_volume
from mmreg.registration.cohort.cases import read_cases
from mmreg.registration.cohort.engines.base import LocalEngine
from mmreg.registration.cohort.engines.shares import read_share, write_share
from mmreg.registration.cohort.job import CohortJob
from mmreg.registration.cohort.settings import CohortSettings
from mmreg.registration.options import RunOptions
from tests.networks import HERE, two_networks

QUICK = {'optimisation.levels': [{'spacing': 2.0, 'iterations': 2}]}
WORDS = ['--preset', 'generic', '--affine', 'none', '--outputs', 'displacement']
WORDS += ['--cfg-options', "optimisation.levels=[{'spacing':2.0,'iterations':2}]"]


@pytest.fixture(scope='module')
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pairs')
    grid = np.indices((16, 16)) - 8.0
    lines = ['fixed,moving,case_id']
    for number in range(6):
        for role, shift in (('f', 0.0), ('m', 0.3 * number)):
            image = np.exp(-(((grid - shift) / 3) ** 2).sum(0)).astype(np.float32)
            write_volume(folder / f'{role}{number}.nii.gz', Volume(image, Geometry.from_parts((16, 16))))
        lines.append(f'f{number}.nii.gz,m{number}.nii.gz,case{number}')
    lines.append('f0.nii.gz,nothing.nii.gz,lost')
    (folder / 'pairs.csv').write_text('\n'.join(lines) + '\n')
    return folder


@pytest.fixture(scope='module')
def one_process(pairs):
    """Exit code and results of the local engine."""
    out = pairs / 'local'
    assert main(['register', '--pairs', str(pairs / 'pairs.csv'), '-o', str(out), *WORDS]) == 1
    return out


def _same(out, expected):
    """Displacements bit by bit, and the tables but for the seconds."""
    for number in range(6):
        name = f'case{number}/displacement.nii.gz'
        found, truth = (read_displacement_image(folder / name)[0] for folder in (out, expected))
        np.testing.assert_array_equal(found, truth)
    for table in ('results.csv', 'failures.csv'):
        found, truth = (
            list(csv.DictReader((f / table).read_text(encoding='utf-8').splitlines())) for f in (out, expected)
        )
        for row in found + truth:
            row.pop('seconds', None)
        assert found == truth


def test_shares_by_hand(pairs, one_process, tmp_path):
    words = ['register', '--pairs', str(pairs / 'pairs.csv'), '-o', str(tmp_path / 'out'), *WORDS]
    codes = [main([*words, '--shard', f'{n}/3']) for n in (1, 2, 3)]
    assert sorted(codes) == [0, 0, 1]
    assert main(words) == 1  # gathers
    _same(tmp_path / 'out', one_process)


@pytest.mark.parametrize('text', ['0/3', '4/3', 'x', '1', '1/0', '-1/3'])
def test_no_such_share(text, pairs, tmp_path, capsys):
    words = ['register', '--pairs', str(pairs / 'pairs.csv'), '-o', str(tmp_path / 'out'), *WORDS]
    assert main([*words, f'--shard={text}']) == 2
    assert 'shard is' in capsys.readouterr().err


def test_an_array_of_slurm(pairs, one_process, tmp_path, monkeypatch):
    """A stand-in for sbatch runs the script once per job of its array, as Slurm would."""
    commands = tmp_path / 'bin'
    commands.mkdir()
    sbatch = commands / 'sbatch'
    sbatch.write_text(
        f'#!{sys.executable}\n'
        'import os, re, subprocess, sys\n'
        'script = sys.argv[-1]\n'
        'text = open(script).read()\n'
        "first, last = map(int, re.search(r'--array=(\\d+)-(\\d+)', text).groups())\n"
        "open(os.path.join(os.path.dirname(script), 'seen.txt'), 'w').write(' '.join(sys.argv[1:]) + text)\n"
        'for n in range(first, last + 1):\n'
        "    subprocess.run(['sh', script], env={**os.environ, 'SLURM_ARRAY_TASK_ID': str(n)}, check=True)\n"
        "print('4711')\n"
    )
    sbatch.chmod(sbatch.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv('PATH', f'{commands}:{os.environ["PATH"]}')
    out = tmp_path / 'out'
    words = ['register', '--pairs', str(pairs / 'pairs.csv'), '-o', str(out), *WORDS]
    assert main([*words, '--engine', 'slurm', '--workers', '2', '--slurm-options=--mem=2G']) == 1
    _same(out, one_process)
    seen = (out / 'slurm' / 'seen.txt').read_text(encoding='utf-8')
    assert '--wait' in seen and '#SBATCH --mem=2G' in seen and '#SBATCH --array=0-1' in seen


def test_a_job_on_disk_is_data(pairs, tmp_path):
    """What is executed stands on the command line; a file that names it is refused."""
    cases = read_cases(pairs / 'pairs.csv')
    options = RunOptions(preset='generic', model='config.py', checkpoint='w.pth', refine=3)
    words = write_share(tmp_path / 'job.json', CohortJob(options, CohortSettings(tmp_path), plugins=('own.py',)), cases)
    assert words == ['--model', 'config.py', '--checkpoint', 'w.pth', '--plugin', 'own.py']
    text = (tmp_path / 'job.json').read_text(encoding='utf-8')
    assert 'config.py' not in text and 'own.py' not in text
    job, again = read_share(tmp_path / 'job.json', {'model': 'config.py', 'checkpoint': 'w.pth'}, ['own.py'])
    assert job.options.refine == 3 and [case.case_id for case in again] == [case.case_id for case in cases]
    for key, value in (('model', 'evil.py'), ('checkpoint', 'evil.pth')):
        evil = text.replace('"options": {', f'"options": {{"{key}": "{value}",')
        (tmp_path / 'evil.json').write_text(evil)
        with pytest.raises(ValueError, match='expected a job'):
            read_share(tmp_path / 'evil.json', {}, [])
    with pytest.raises(ValueError, match='expected a job'):
        read_share(tmp_path / 'evil.json', {}, []) if (tmp_path / 'evil.json').write_text('[]') else None


def test_a_pipeline_serves_the_next_job_of_equal_options(pairs, tmp_path):
    options = RunOptions(preset='generic', affine='none', cfg_options=QUICK)
    engine, cases = LocalEngine(), read_cases(pairs / 'pairs.csv')[:1]
    made = []
    for name in ('a', 'b'):
        engine.run(CohortJob(options, CohortSettings(tmp_path / name, affine='none')), cases)
        made.append(engine._made[1])
    assert made[0] is made[1]


class TestDask:
    """Workers that come, go, and die."""

    @pytest.fixture(autouse=True)
    def _installed(self):
        pytest.importorskip('distributed', reason='Dask is not installed: pip install mmreg[dask]')

    @pytest.mark.slow
    def test_a_cluster_of_this_machine(self, pairs, one_process, tmp_path):
        words = ['register', '--pairs', str(pairs / 'pairs.csv'), '-o', str(tmp_path / 'out'), *WORDS]
        assert main([*words, '--engine', 'dask', '--workers', '2']) == 1
        _same(tmp_path / 'out', one_process)

    @pytest.mark.slow
    def test_forty_pairs_registered_to_the_end(self, tmp_path):
        """More cases than the scheduler is given at once, with an affine, all levels and the inverse: bit for bit."""
        generator, grid = np.random.default_rng(0), np.indices((24, 24)) - 12.0
        lines = ['fixed,moving,case_id']
        for number in range(40):
            for role in 'fm':
                at, width = generator.normal(0, 1.5, (2, 1, 1)), generator.uniform(3, 5, (2, 1, 1))
                image = np.exp(-(((grid - at) / width) ** 2).sum(0)) + generator.normal(0, 0.01, grid.shape[1:])
                geometry = Geometry.from_parts((24, 24), (2.0, 2.0))
                write_volume(tmp_path / f'{role}{number}.nii.gz', Volume(image.astype(np.float32), geometry))
            lines.append(f'f{number}.nii.gz,m{number}.nii.gz,case{number}')
        (tmp_path / 'pairs.csv').write_text('\n'.join(lines) + '\n')
        words = ['register', '--pairs', str(tmp_path / 'pairs.csv'), '--preset', 'generic', '-o']
        assert main([*words, str(tmp_path / 'local')]) == 0
        assert main([*words, str(tmp_path / 'dask'), '--engine', 'dask', '--workers', '2']) == 0
        whole, found = (
            {path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob('*.gz')}
            for name in ('local', 'dask')
        )
        assert whole == found and len(whole) >= 3 * 40
        for name in whole:
            assert (tmp_path / 'dask' / name).read_bytes() == (tmp_path / 'local' / name).read_bytes(), name
        assert np.abs(read_displacement_image(tmp_path / 'local' / 'case7' / 'displacement.nii.gz')[0]).max() > 0.2
        rows = list(csv.DictReader((tmp_path / 'dask' / 'results.csv').read_text(encoding='utf-8').splitlines()))
        assert [row['case_id'] for row in rows] == [f'case{number}' for number in range(40)]

    @pytest.mark.slow
    @pytest.mark.parametrize('networks', [1, 2])
    def test_a_killed_worker_and_a_restarted_scheduler(self, networks, pairs, one_process, tmp_path):
        """The scheduler in one network, the workers in another."""
        with two_networks() if networks == 2 else nullcontext(HERE) as (home, away):
            _disturbed(pairs, tmp_path / 'out', home, away)
        _same(tmp_path / 'out', one_process)

    def test_workers_that_do_not_start_are_one_sentence(self, pairs, tmp_path, capsys, monkeypatch):
        import distributed

        def broken(**options):
            raise RuntimeError('Nanny failed to start.')

        monkeypatch.setattr(distributed, 'LocalCluster', broken)
        words = ['register', '--pairs', str(pairs / 'pairs.csv'), '-o', str(tmp_path / 'out'), *WORDS]
        assert main([*words, '--engine', 'dask']) == 2
        error = capsys.readouterr().err
        assert '2 workers did not start on this machine (Nanny failed to start.)' in error and 'Traceback' not in error

    def test_no_scheduler_is_one_sentence(self, pairs, tmp_path, capsys, monkeypatch):
        from mmreg.registration.cohort.engines import dask

        monkeypatch.setattr(dask, '_CONNECT', 0.5)
        words = ['register', '--pairs', str(pairs / 'pairs.csv'), '-o', str(tmp_path / 'out'), *WORDS]
        words += ['--engine', 'dask', '--dask-scheduler', f'tcp://127.0.0.1:{_free_port()}']
        assert main(words) == 2
        error = capsys.readouterr().err
        assert 'found no scheduler' in error and 'Traceback' not in error


def _disturbed(pairs, out, home, away):
    """Register through a scheduler that is killed and restarted, with workers of which one is killed."""
    address, processes = f'tcp://{home.address}:{_free_port()}', []

    def start(network, *words):
        processes.append(subprocess.Popen([*network.words, sys.executable, '-m', *words]))
        return processes[-1]

    def scheduler():
        port = address.rpartition(':')[2]
        return start(home, 'distributed.cli.dask_scheduler', '--host', home.address, '--port', port, '--no-dashboard')

    def worker():
        words = ['--host', away.address, '--nthreads', '1', '--no-dashboard', '--no-nanny']
        return start(away, 'distributed.cli.dask_worker', address, *words)

    try:
        first = scheduler()
        time.sleep(5)
        workers = [worker(), worker()]
        words = ['register', '--pairs', str(pairs / 'pairs.csv'), '-o', str(out), *WORDS]
        run = start(home, 'mmreg.cli', *words, '--engine', 'dask', '--dask-scheduler', address)
        _wait_for(out / 'case0' / 'plan.json')
        workers[0].send_signal(signal.SIGKILL)
        first.send_signal(signal.SIGKILL)
        first.wait()
        scheduler()
        time.sleep(3)
        worker()
        assert run.wait(timeout=600) == 1
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def _wait_for(path, seconds=600):
    last = time.monotonic() + seconds
    while not path.is_file():
        assert time.monotonic() < last, path
        time.sleep(0.01)
