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


def lines_of(name):
    return re.sub(r'\\\n\s*', '', (ROOT / 'docker' / name).read_text(encoding='utf-8')).splitlines()


LINES = lines_of('Dockerfile')


def copied(lines):
    """Source -> place in the image, of files of the checkout."""
    found = {}
    for line in lines:
        if line.startswith('COPY') and '${' not in line and '--from' not in line:
            *sources, target = line.split()[1:]
            for source in sources:
                folder = target == './' or len(sources) > 1
                found[source] = Path(target) / Path(source).name if folder else Path(target)
    return found


@pytest.mark.parametrize('name', ['Dockerfile', 'general.Dockerfile'])
def test_copied_files_are_in_the_build_context(name):
    patterns = (ROOT / 'docker' / f'{name}.dockerignore').read_text(encoding='utf-8').splitlines()
    admitted = [pattern[1:] for pattern in patterns if pattern.startswith('!')]
    assert copied(lines_of(name))
    for source in copied(lines_of(name)):
        assert (ROOT / source).exists()
        assert any(source == name or source.startswith(f'{name}/') for name in admitted), source


def test_the_general_container_is_mmreg():
    """Both are built alike; the general one asks for nothing of a challenge."""
    lines = lines_of('general.Dockerfile')
    assert 'ENTRYPOINT ["mmreg"]' in lines and not any('CHECKPOINT' in line for line in lines)
    build = LINES.index('WORKDIR /opt/mmreg')
    assert [line for line in LINES[:build] if line.startswith(('FROM', 'RUN', 'COPY'))] == [
        line for line in lines[: lines.index('WORKDIR /opt/mmreg')] if line.startswith(('FROM', 'RUN', 'COPY'))
    ]


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """Built from exactly the files that the image has when pip installs mmreg."""
    step = next(k for k, line in enumerate(LINES) if re.search(r'pip (install|wheel) .*(?<=\s)\.(\s|$)', line))
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


class Image:
    """The Dockerfile's steps, one by one, in empty folders: what an engine would do, without one and without a network.

    Files are copied as the steps say, from the files that the ignore list admits. ``pip`` and ``apt-get`` are stand-ins
    that do nothing but build mmreg's own wheel and unpack it; everything else that a step runs is really run. A stage
    has a compiler where one of its steps installs one.
    """

    def __init__(self, place, context, arguments):
        self.place, self.context, self.arguments = place, context, dict(arguments)
        self.stages, self.root, self.folder, self.entry = {}, None, None, None
        self.environment, self.compiler = {}, '/bin/false'

    def build(self, lines):
        for line in lines:
            word, _, rest = line.strip().partition(' ')
            if word and not word.startswith('#'):
                getattr(self, word.lower())(self.filled(rest) if word != 'RUN' else rest)
        return self

    def filled(self, text):
        values = {**self.arguments, **self.environment}
        return re.sub(r'\$\{(\w+)\}', lambda match: values[match[1]], text)

    def path(self, name):
        return self.root / (self.folder / name).relative_to('/') if not name.startswith('/') else self.root / name[1:]

    def from_(self, rest):
        name = rest.partition(' AS ')[2] or 'last'
        self.root = self.place / name
        self.stages[name] = self.root
        (self.root / 'bin').mkdir(parents=True)
        for tool, text in SHIMS.items():
            (self.root / 'bin' / tool).write_text(text)
            (self.root / 'bin' / tool).chmod(0o755)
        self.folder, self.environment, self.compiler = Path('/'), {}, '/bin/false'

    def arg(self, rest):
        name, _, value = rest.partition('=')
        self.arguments.setdefault(name, value)

    def workdir(self, rest):
        self.folder = Path(rest)
        self.path('.').mkdir(parents=True, exist_ok=True)

    def env(self, rest):
        for word in rest.split():
            name, _, value = word.partition('=')
            self.environment[name] = value

    def copy(self, rest):
        *sources, target = rest.split()
        root = self.context
        if sources[0].startswith('--from='):
            root = self.stages[sources.pop(0)[7:]]
        for source in sources:
            found, place = root / source.lstrip('/'), self.path(target)
            assert found.exists(), f'COPY {rest}: {source} is not there'
            place = place / found.name if target.endswith('./') or len(sources) > 1 else place
            place.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                shutil.copytree(found, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns('__pycache__', '*.so'))
            else:
                shutil.copy(found, place)

    def run(self, rest):
        if re.search(r'apt-get install .*\bgcc\b', rest):
            self.compiler = shutil.which('gcc') or self.compiler
        result = self.shell(rest)
        assert result.returncode == 0, f'RUN {rest}\n{result.stdout}{result.stderr}'

    def entrypoint(self, rest):
        self.entry = re.findall(r'"([^"]*)"', rest)

    def shell(self, command):
        """A command inside; absolute paths of the image are found below its root."""
        roots = r'(?<![\w./])/(opt/mmreg|input|output|app|var/lib)'
        command = re.sub(roots, lambda match: f'{self.root}/{match[1]}', command)
        values = {name: re.sub(roots, lambda m: f'{self.root}/{m[1]}', v) for name, v in self.environment.items()}
        environment = {
            **os.environ, **self.arguments, **values, 'PYTHON': sys.executable, 'SITE': str(self.root / 'site'),
            'PATH': f'{self.root / "bin"}:{os.environ["PATH"]}', 'PYTHONWARNINGS': 'ignore', 'CC': self.compiler,
            'PYTHONPATH': f'{self.root / "site"}:{self.place / "offline"}',
        }  # fmt: skip
        return subprocess.run(
            ['sh', '-c', command], cwd=self.path('.'), env=environment, capture_output=True, text=True
        )


setattr(Image, 'from', Image.from_)
SHIMS = {
    'apt-get': '#!/bin/sh\nexit 0\n',
    'rm': '#!/bin/sh\nexit 0\n',
    'python': '#!/bin/sh\nexec "$PYTHON" "$@"\n',
    'mmreg': '#!/bin/sh\nexec "$PYTHON" -m mmreg.cli "$@"\n',
    'pip': """#!/bin/sh
case "$*" in
    wheel*) exec "$PYTHON" -m pip "$@" --no-build-isolation -q ;;
    *.whl*) for last in "$@"; do :; done; exec "$PYTHON" -m zipfile -e "$last" "$SITE" ;;
esac
""",
}
OFFLINE = """import socket
def refuse(*args, **kwargs):
    raise OSError('no network')
socket.socket.connect = socket.create_connection = refuse
"""


@pytest.mark.slow
def test_the_steps_of_the_image_and_its_entry_point(tmp_path):
    """Built step by step in an empty folder; then the entry point on made data: read-only inputs, no network."""
    import torch

    from mmreg.apis import init_model
    from tests.made import lumir

    context = tmp_path / 'context'
    for pattern in (ROOT / 'docker' / 'Dockerfile.dockerignore').read_text(encoding='utf-8').splitlines():
        if pattern.startswith('!') and (ROOT / pattern[1:]).exists() and pattern[1:] not in ('work_dirs', 'weights'):
            place = context / pattern[1:]
            place.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / pattern[1:]).is_dir() else shutil.copy
            copy(ROOT / pattern[1:], place)
    (context / 'weights').mkdir()
    model = init_model(str(ROOT / 'configs' / 'eoir_lumir.py'), device='cpu')
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, context / 'weights' / 'best.pth')
    (tmp_path / 'image' / 'offline').mkdir(parents=True)
    (tmp_path / 'image' / 'offline' / 'sitecustomize.py').write_text(OFFLINE)
    arguments = {'CHECKPOINT': 'weights/best.pth', 'CONFIG': 'configs/eoir_lumir.py'}
    image = Image(tmp_path / 'image', context, arguments).build(LINES)
    if shutil.which('gcc'):  # the first stage compiles, the last one runs what it made
        asked = 'from mmreg.spatial import compiled as c; print(c.compiled_available(), c.__file__)'
        answer = image.shell(f'python -c "{asked}"')
        assert answer.stdout.startswith(f'True {image.root}'), answer.stdout + answer.stderr
    data = lumir.make_lumir(tmp_path / 'data')
    for path in [*data.rglob('*'), data]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    out = image.root / 'output'
    mounts = f'--pairs {data}/LUMIR_dataset.json --data-root {data} --out {out}'
    run = image.shell(f'{" ".join(image.entry)} {mounts}')
    assert run.returncode == 0, run.stdout + run.stderr
    stems = [f'disp_{fixed}_{moving}.nii.gz' for fixed, moving in lumir.SEGMENTED + lumir.LANDMARKED]
    assert sorted(path.name for path in out.glob('disp_*')) == sorted(stems)
    for path in [*data.rglob('*'), data]:
        path.chmod(0o755 if path.is_dir() else 0o644)
