"""What an installed mmreg carries: presets and their bases, pages and scripts of the report."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """The package as a wheel would hold it, built from a copy of what belongs to it."""
    pytest.importorskip('setuptools')
    source = tmp_path_factory.mktemp('source')
    for name in ('mmreg', 'configs'):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE', 'NOTICE'):
        shutil.copy(ROOT / name, source / name)
    run = subprocess.run(
        [sys.executable, '-W', 'ignore', 'setup.py', '-q', 'build_py', '--build-lib', 'built'],
        cwd=source, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return source / 'built'


def test_presets_are_found_outside_a_checkout(installed, tmp_path):
    """The built package alone, from another folder: the command lists the same presets and loads one."""
    code = (
        'import mmreg; from pathlib import Path\n'
        'from mmreg.registration.presets.preset import find_presets, load_preset\n'
        f'assert Path(mmreg.__file__).is_relative_to({str(installed)!r}), mmreg.__file__\n'
        'print(*find_presets()); print(load_preset("brain_t1").path)'
    )
    environment = {**os.environ, 'PYTHONPATH': str(installed)}
    run = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    names, path = run.stdout.splitlines()
    assert names.split() == sorted(p.stem.removeprefix('register_') for p in (ROOT / 'configs').glob('register_*.py'))
    assert Path(path) == installed / 'mmreg' / 'configs' / 'register_brain_t1.py'


def test_package_data(installed):
    for folder, suffix in (('configs', '.py'), ('mmreg/visualization/report_assets', '')):
        wanted = {p.relative_to(ROOT / folder) for p in (ROOT / folder).rglob(f'*{suffix}') if p.is_file()}
        wanted = {p for p in wanted if '__pycache__' not in p.parts}
        place = installed / ('mmreg/configs' if folder == 'configs' else folder)
        assert wanted and all((place / p).is_file() for p in wanted)
    assert (installed / 'mmreg' / 'py.typed').is_file()
