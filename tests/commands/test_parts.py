"""`mmreg list`: parts as their sources tell them are those of the registries; documentation of one in plain text."""

import re
import subprocess
import sys

import pytest

from mmreg.cli import main
from mmreg.commands.list import _registered, find_parts
from mmreg.commands.shared.part_sources import parts_of_sources
from mmreg.plugins import register_all_modules
from mmreg.registry import PUBLIC
from tests.registration.conftest import PLUGIN


@pytest.fixture(scope='module')
def registered():
    register_all_modules()
    found = {}
    for title, registry in PUBLIC.items():
        registry.import_from_location()
        parts = [_registered(title, name, part) for name, part in registry.module_dict.items()]
        found[title] = {part.name: part for part in parts if part.module.startswith('mmreg.')}
    return found


def test_the_sources_tell_what_the_registries_hold(registered):
    written = parts_of_sources()
    assert list(written) == list(PUBLIC)
    for title, parts in written.items():
        assert {part.name for part in parts} == set(registered[title]), title
        assert [part.name for part in parts] == sorted(part.name for part in parts)
        for part in parts:
            other = registered[title][part.name]
            assert (part.module, part.summary, part.text) == (other.module, other.summary, other.text)


def test_signatures_are_those_of_the_constructors(registered):
    """Names always; of another package's constructor, which is not read, nothing is said."""
    unread = 0
    for title, parts in parts_of_sources().items():
        for part in parts:
            other = registered[title][part.name].signature
            if part.signature == '(...)':
                unread += 1
                continue
            assert _names(part.signature) == _names(other), part.name
    assert unread < 12


def _names(signature: str) -> list[str]:
    """Names of arguments, and how many of them have defaults."""
    inside = re.sub(r'\([^()]*\)|\[[^\[\]]*\]', '', re.sub(r'\([^()]*\)', '', signature[1:-1]))
    return [piece.partition('=')[0].strip() for piece in inside.split(',')]


@pytest.mark.parametrize('name', ['LNCC', 'lncc', 'ScalingSquaring', 'acdc3', 'DiceMetric'])
def test_documentation_of_a_part(name, capsys):
    assert main(['list', name]) == 0
    out = capsys.readouterr().out
    assert out.lower().startswith(name.lower()) and 'mmreg.' in out
    assert not re.search(r'``|:[a-z]+:`|\.\. math|\\[a-z]+', out)


def test_arguments_are_explained(capsys):
    assert main(['list', 'LNCC']) == 0
    out = capsys.readouterr().out
    assert 'window: voxels per axis' in out and 'Args:' in out


@pytest.mark.parametrize(
    ('name', 'near'), [('LNC', 'LNCC'), ('lose', 'losses'), ('ScalingSqaring', 'ScalingSquaring'), ('metric', None)]
)
def test_near_names(name, near, capsys):
    code = main(['list', name, '--names'])
    if near is None:
        assert code == 0
        return
    assert code == 2 and repr(near) in capsys.readouterr().err


def test_a_plugin_is_listed(capsys):
    assert main(['list', 'flow_heads', '--plugin', str(PLUGIN)]) == 0
    out = capsys.readouterr().out
    assert 'TestWaveHead' in out and 'from mmreg_plugin_parts' in out
    assert main(['list', 'TestWaveHead', '--plugin', str(PLUGIN)]) == 0
    assert set(find_parts([str(PLUGIN)])) == set(PUBLIC)


LIGHT = {
    '--help': (), '--version': (), 'list': (), 'list LNCC': (), 'models': (), 'models symnet': (),
    'register --help': (), 'infer --help': (), 'apply --help': ('SimpleITK', 'scipy'),
}  # fmt: skip


@pytest.mark.parametrize('words', LIGHT)
def test_what_is_answered_without_torch(words):
    """Seconds depend on the machine; which libraries are loaded does not."""
    heavy = {'torch', 'mmengine', 'monai', 'SimpleITK', 'scipy', 'matplotlib', 'numpy'} - set(LIGHT[words])
    heavy -= {'numpy'} if LIGHT[words] else set()
    code = (
        f'import sys\nfrom mmreg.cli import main\ntry:\n    main({words.split()!r})\nexcept SystemExit:\n    pass\n'
        f'found = {heavy!r} & set(sys.modules)\nsys.exit(str(found) if found else 0)'
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


FIRST_LINES = {
    'register a.nii b.nii': 'registering b.nii to a.nii',
    'infer none.py --fixed a.nii --moving b.nii': 'registering b.nii to a.nii',
    'bids .': 'looking at .',
    'template a.nii b.nii': 'building a template of 2 files',
    'propagate a.nii --atlases b.nii': 'carrying labels of b.nii to a.nii',
    'series a.nii': 'bringing a.nii together',
    'series visits.csv --longitudinal': 'bringing visits.csv together',
    'statistics .': 'reading .',
    'view .': 'looking at .',
}


@pytest.mark.parametrize('words', FIRST_LINES)
def test_the_first_line_comes_before_anything_heavy(words, tmp_path):
    """What is going to be done is said while the libraries are loaded."""
    for name in ('a.nii', 'b.nii'):
        (tmp_path / name).write_bytes(b'')
    command = words.split()
    out = str(tmp_path / 'o')
    command += {'bids': [out, 'participant'], 'view': []}.get(command[0], ['-o', out])
    code = (
        'import sys\nfrom mmreg.utils import console\nsay = console.say\n'
        'def told(text=""):\n    say(text)\n'
        '    heavy = {"torch", "mmengine", "SimpleITK", "scipy", "nibabel"} & set(sys.modules)\n'
        '    sys.exit(str(heavy) if heavy else 0)\n'
        f'console.say = told\nfrom mmreg.cli import main\nmain({command!r})'
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0 and run.stdout == FIRST_LINES[words] + '\n', run.stderr


def test_one_of_many_processes_says_what_begins(monkeypatch, capsys):
    from mmreg.commands.shared.running import begin

    for rank in ('1', '0'):
        monkeypatch.setenv('RANK', rank)
        begin(f'said by {rank}')
    assert capsys.readouterr().out == 'said by 0\n'


def test_a_missing_file_is_told_before_torch(tmp_path):
    code = (
        'import sys\nfrom mmreg.cli import main\n'
        f'code = main(["register", "nowhere.nii", "b.nii", "-o", {str(tmp_path / "o")!r}])\n'
        'sys.exit(code if "torch" not in sys.modules else "loaded")'
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 2 and 'nowhere.nii: found no such file, expected an image' in run.stderr
