"""What an installed mmreg carries: presets and their bases, pages and scripts of the report."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmreg.version import __version__

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


def test_the_conda_recipe_asks_for_what_pip_asks_for():
    """Names differ in four cases; versions are the same."""
    renamed = {'torch': 'pytorch', 'matplotlib': 'matplotlib-base', 'mmcv-lite': 'mmcv', 'isal': 'python-isal'}
    wanted = re.search(r'install_requires=\[(.*?)\]', (ROOT / 'setup.py').read_text(encoding='utf-8'), re.S)[1]
    recipe = (ROOT / 'conda/meta.yaml').read_text(encoding='utf-8').partition('  run:')[2].partition('test:')[0]
    lines = re.findall(r'- (\S+) (\S+)$', recipe, re.M)
    asked = dict(lines)
    assert len(asked) == len(lines), 'named twice'
    for name, versions in re.findall(r"'([\w-]+)([^']*)'", wanted):
        name = renamed.get(name, name.lower())
        assert asked.get(name) == versions, name


def rendered_recipe():
    """The conda recipe with stand-ins for the functions of conda-build."""
    import jinja2
    import yaml

    setup = (ROOT / 'setup.py').read_text(encoding='utf-8')
    assert re.search(r"setup\(\s+name='mmreg',\s+version=VERSION", setup), 'what load_setup_py_data reads'
    source = (ROOT / 'conda/meta.yaml').read_text(encoding='utf-8')
    functions = {
        'load_setup_py_data': lambda setup_file, from_recipe_dir: {'version': __version__},
        'compiler': lambda language: f'{language}_compiler',
        'PYTHON': 'python',
    }
    return yaml.safe_load(jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(source).render(functions))


def test_the_conda_recipe_can_be_rendered():
    recipe = rendered_recipe()
    assert set(recipe) == {'package', 'source', 'build', 'requirements', 'test', 'about'}
    assert recipe['package'] == {'name': 'mmreg', 'version': __version__}
    assert recipe['requirements']['build'] == ['c_compiler'] and 'python >=3.10,<3.14' in recipe['requirements']['run']
    assert recipe['build']['entry_points'] == ['mmreg = mmreg.cli:main']
    for name in recipe['about']['license_file']:
        assert (ROOT / name).is_file() or (ROOT / 'conda' / name).is_file(), name
    for module in recipe['test']['imports']:
        __import__(module)


def test_the_readme_names_every_extra():
    setup = (ROOT / 'setup.py').read_text(encoding='utf-8')
    extras = set(re.findall(r"^EXTRAS\['(\w+)'\]", setup, re.M))
    extras |= set(re.findall(r"^    '(\w+)': \[", setup.partition('# What a user')[0], re.M))
    told = (ROOT / 'README.md').read_text(encoding='utf-8').partition('Extras: ')[2].partition('.')[0]
    assert len(extras) > 12 and set(re.findall(r'`(\w+)`', told)) == extras


def test_package_data(installed):
    for folder, suffix in (('configs', '.py'), ('mmreg/visualization/report_assets', '')):
        wanted = {p.relative_to(ROOT / folder) for p in (ROOT / folder).rglob(f'*{suffix}') if p.is_file()}
        wanted = {p for p in wanted if '__pycache__' not in p.parts}
        place = installed / ('mmreg/configs' if folder == 'configs' else folder)
        assert wanted and all((place / p).is_file() for p in wanted)
    assert (installed / 'mmreg' / 'py.typed').is_file() and (installed / 'mmreg/zoo/counts.json').is_file()


CARD = dict(
    config='pyramid_any', summary='for tests', suits='tests', unsuited='people', trained_on='nothing',
    training='none', measured=['nothing'],
)  # fmt: skip
#: Any connection fails, whoever asks for one.
NO_NETWORK = """
import socket
def refuse(*arguments, **named):
    raise OSError('no network here')
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
"""


@pytest.mark.slow
def test_networks_of_the_package_register_without_a_network_connection(tmp_path):
    """A network that was shipped travels in the wheel; `mmreg register --fast` of the installed package runs it."""
    pytest.importorskip('setuptools')
    source = tmp_path / 'source'
    for name in ('mmreg', 'configs', 'tools'):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns('__pycache__', '*.so'))
    for name in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE', 'NOTICE'):
        shutil.copy(ROOT / name, source / name)
    make = (
        'import torch; from mmreg.plugins import register_all_modules; from mmreg.registry import REGISTRARS\n'
        'from mmreg.utils.config import load_config; register_all_modules(); torch.manual_seed(0)\n'
        'torch.save(REGISTRARS.build(load_config("configs/pyramid_any.py").model).state_dict(), "any.pth")'
    )
    (source / 'card.json').write_text(json.dumps(CARD))
    at_source = {**os.environ, 'PYTHONPATH': str(source)}
    run([sys.executable, '-c', make], source, at_source)
    run([sys.executable, 'tools/ship_weights.py', 'tested', 'any.pth', 'card.json'], source, at_source)
    build = ['-W', 'ignore', 'setup.py', '-q', 'bdist_wheel', '--dist-dir', str(tmp_path / 'dist')]
    run([sys.executable, *build], source, {**os.environ, 'MMREG_BUILD_KERNELS': '0'})
    (wheel,) = (tmp_path / 'dist').glob('*.whl')
    place = tmp_path / 'site'
    install = ['-m', 'pip', 'install', '-q', '--no-deps', '--no-index', '--target', str(place), str(wheel)]
    run([sys.executable, *install], tmp_path, os.environ)
    (place / 'sitecustomize.py').write_text(NO_NETWORK)
    scans = (
        'import numpy as np; from mmreg.io import Geometry, Volume, write_volume\n'
        'grid = np.stack(np.meshgrid(*[np.arange(24) - 12.0] * 3, indexing="ij"))\n'
        'for name, shift in (("f", 0.0), ("m", 1.0)):\n'
        '    array = np.exp(-((grid - shift) ** 2).sum(0) / 40).astype("float32")\n'
        '    write_volume(f"{name}.nii.gz", Volume(array, Geometry(array.shape, np.eye(4))))'
    )
    alone = {**os.environ, 'PYTHONPATH': str(place), 'MMREG_WEIGHTS': str(tmp_path / 'weights')}
    run([sys.executable, '-c', scans], tmp_path, alone)
    command = ['register', 'f.nii.gz', 'm.nii.gz', '-o', 'out', '--fast', '--affine', 'none']
    run([sys.executable, '-m', 'mmreg.cli', *command], tmp_path, alone)
    plan = json.loads((tmp_path / 'out' / 'plan.json').read_text(encoding='utf-8'))
    assert Path(plan['checkpoint']['path']) == place / 'mmreg' / 'zoo' / 'own_weights' / 'tested.safetensors'
    assert not (tmp_path / 'weights').exists()


def run(command, folder, environment):
    """One command that must not fail."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
