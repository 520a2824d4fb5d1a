"""What a release consists of: built, checked, and installed beside nothing but its requirements."""

import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow
ALONE = {'PATH': f'{Path(sys.executable).parent}:/usr/bin:/bin'}
SAYS = 'import mmreg, mmreg.spatial.compiled as c; print(mmreg.__file__); print(c.compiled_available())'


@pytest.fixture(scope='module')
def dist(tmp_path_factory):
    """The folder that `make dist` fills; the program checks metadata and contents itself."""
    for name in ('build', 'twine', 'check_wheel_contents', 'setuptools'):
        pytest.importorskip(name)
    if sys.platform == 'linux':
        pytest.importorskip('auditwheel')
    out = tmp_path_factory.mktemp('dist')
    run = subprocess.run(
        [sys.executable, str(ROOT / 'tools/build_dist.py'), str(out)], capture_output=True, text=True, cwd=out
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return out


def _installed(wheel: Path, folder: Path) -> Path:
    """A fresh environment that holds the wheel; the requirements are those of the environment of the tests."""
    subprocess.run([sys.executable, '-m', 'venv', str(folder)], check=True)
    python = folder / 'bin' / 'python'
    subprocess.run([str(python), '-m', 'pip', 'install', '-q', '--no-deps', '--no-index', str(wheel)], check=True)
    place = subprocess.run(
        [str(python), '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    Path(place, 'requirements.pth').write_text(sysconfig.get_path('purelib') + '\n')
    return python


@pytest.mark.skipif(sys.platform != 'linux', reason='the tags of other systems are not known here')
@pytest.mark.parametrize('kind, kernels', [('manylinux', True), ('-any.whl', False)])
def test_wheels_work_in_a_fresh_environment(dist, tmp_path, kind, kernels):
    (wheel,) = [path for path in dist.glob('*.whl') if kind in path.name]
    assert '-py3-none-' in wheel.name
    python = _installed(wheel, tmp_path / 'env')
    run = subprocess.run(
        [str(python), '-c', SAYS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={'PATH': '/usr/bin:/bin'},
    )
    place, has_kernels = run.stdout.splitlines()
    assert Path(place).is_relative_to(tmp_path) and has_kernels == str(kernels)
    command = python.with_name('mmreg')
    shown = subprocess.run([str(command), 'list', 'losses', '--names'], cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 0 and 'LNCC' in shown.stdout.split(), shown.stderr


def test_the_sources_hold_what_the_tests_need(dist, tmp_path):
    (archive,) = dist.glob('*.tar.gz')
    with tarfile.open(archive) as file:
        # Patch releases of Python before 3.10.12 and 3.11.4 know no filter.
        file.extractall(tmp_path, **({'filter': 'data'} if hasattr(tarfile, 'data_filter') else {}))
    (source,) = tmp_path.iterdir()
    tracked = ('mmreg', 'configs', 'tests', 'docs', 'benchmarks', 'tools', 'docker', 'projects', 'integrations')
    for folder in tracked:
        wanted = {p.relative_to(ROOT) for p in (ROOT / folder).rglob('*') if p.is_file()}
        wanted = {p for p in wanted if not {'__pycache__', 'build'} & set(p.parts) and p.suffix not in ('.pyc', '.so')}
        wanted = {p for p in wanted if not any(part.endswith('.egg-info') for part in p.parts)}
        assert not {p for p in wanted if not (source / p).is_file()}
    some = ('tests/io/test_geometry.py', 'tests/test_cli.py')
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', *some]
    run = subprocess.run(command, cwd=source, capture_output=True, text=True, env=ALONE)
    assert run.returncode == 0, run.stdout
