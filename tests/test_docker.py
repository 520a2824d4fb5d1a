"""The container can be built: what is installed is complete when it is installed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
LINES = re.sub(r'\\\n\s*', '', (ROOT / 'docker' / 'Dockerfile').read_text()).splitlines()


def copied(lines):
    """Source -> place in the image, of files of the checkout."""
    found = {}
    for line in lines:
        if line.startswith('COPY') and '${' not in line:
            *sources, target = line.split()[1:]
            for source in sources:
                folder = target == './' or len(sources) > 1
                found[source] = Path(target) / Path(source).name if folder else Path(target)
    return found


def test_copied_files_are_in_the_build_context():
    patterns = (ROOT / 'docker' / 'Dockerfile.dockerignore').read_text().splitlines()
    admitted = [pattern[1:] for pattern in patterns if pattern.startswith('!')]
    for source in copied(LINES):
        assert (ROOT / source).exists()
        assert any(source == name or source.startswith(f'{name}/') for name in admitted), source


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """Built from exactly the files that the image has when pip installs mmreg."""
    step = next(k for k, line in enumerate(LINES) if re.search(r'pip install .*(?<=\s)\.(\s|$)', line))
    image = tmp_path_factory.mktemp('image')
    for source, target in copied(LINES[:step]).items():
        place = image / target
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns('__pycache__', '*.so'))
        else:
            shutil.copy(ROOT / source, place)
    # Without a compiler: the kernels are optional, and take long.
    run = subprocess.run(
        [sys.executable, '-m', 'pip', 'wheel', '.', '--no-deps', '--no-build-isolation', '-q', '-w', 'wheels'],
        cwd=image, capture_output=True, text=True, env={**os.environ, 'CC': '/bin/false', 'PYTHONWARNINGS': 'ignore'},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return next((image / 'wheels').glob('*.whl'))


def test_the_wheel_of_the_image_has_its_configs(wheel, tmp_path):
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path / 'site')
    (tmp_path / 'mine.py').write_text("_base_ = 'mmreg::eoir_lumir.py'\n")
    environment = {**os.environ, 'PYTHONPATH': str(tmp_path / 'site')}
    for config in ('eoir_lumir', 'mine.py'):
        run = subprocess.run(
            [sys.executable, '-W', 'ignore', '-m', 'mmreg.cli', 'config', config],
            cwd=tmp_path, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert 'EOIREncoder' in run.stdout
