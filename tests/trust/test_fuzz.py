"""Damaged files, seeded: a reader gives a result or one sentence that names the file, in little time and memory.

``MMREG_FUZZ_SEED`` chooses other inputs; ``--start`` is the number in a failure's name.
"""

import ast
import os
import random
import resource
import shutil
import signal
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest

import mmreg
from mmreg.errors import InputError
from mmreg.utils.console import sentence
from tests.trust.damage import damage
from tests.trust.readers import ELSEWHERE, READERS, extend

SEED = int(os.environ.get('MMREG_FUZZ_SEED', '0'))
FAST, MANY = 300, 5000
#: Seconds and bytes that a reader of a few kilobytes may take.
SECONDS, ROOM = 60, 3 << 30
PREFIXES = ('read_', 'load_', 'restricted_load')


@pytest.fixture(scope='module')
def files(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp('files') / 'base'
    shutil.copytree(base, folder)
    extend(folder)
    return folder


class Hang(BaseException):
    """No reader may catch it."""


@contextmanager
def limits():
    """A hang and a bomb end in an exception instead of ending the tests."""

    def stop(number, frame):
        raise Hang(f'more than {SECONDS} s')

    previous = signal.signal(signal.SIGALRM, stop)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path('/proc/self/statm').read_text(encoding='utf-8').split()[0]) * resource.getpagesize()
    signal.alarm(SECONDS)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, hard))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def attempt(number, files, folder):
    """Damage one file and read it; what is wrong with the outcome, None where nothing is."""
    rng = random.Random(f'{SEED} {number}')
    name = rng.choice(sorted(READERS))
    reader, sources = READERS[name]
    source = rng.choice([one for one in sources if (files / one).is_file()])
    for companion in files.glob(f'{Path(source).name.split(".")[0]}.*'):  # header and voxels in two files
        shutil.copy(companion, folder / companion.name)
    path = folder / Path(source).name
    shutil.copy(files / source, path)
    what = f'{name} of {path.name}, {damage(rng, path, sorted(p for p in files.iterdir() if p.is_file()))}'
    before = sorted(p.name for p in folder.rglob('*'))
    try:
        with limits(), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            reader(path)
    except InputError as error:
        text = sentence(error) or ''
        if '\n' in text or not text or len(text) > 2000:
            return f'{what}: no single sentence: {text[:300]!r}'
        if ' at 0x' in text or 'sitk::' in text or 'itk::' in text:
            return f'{what}: internals in {text[:300]!r}'
    except BaseException as error:
        return f'{what}: {type(error).__name__}: {str(error)[:300]}'
    if sorted(p.name for p in folder.rglob('*')) != before:
        return f'{what}: left files behind'
    return None


def violations(numbers, files, folder):
    found = []
    for number in numbers:
        place = folder / str(number)
        place.mkdir()
        problem = attempt(number, files, place)
        if problem:
            found.append(f'{number}: {problem}')
        shutil.rmtree(place, ignore_errors=True)
    return found


def test_damaged_files(files, tmp_path):
    found = violations(range(FAST), files, tmp_path)
    assert not found, '\n'.join(found)


@pytest.mark.slow
@pytest.mark.parametrize('part', range(10))
def test_many_damaged_files(part, files, tmp_path):
    count = MANY // 10
    found = violations(range(FAST + part * count, FAST + (part + 1) * count), files, tmp_path)
    assert not found, '\n'.join(found)


def test_whole_files_are_read(files):
    """The fuzz would say nothing about a reader that refuses everything."""
    for name, (reader, sources) in READERS.items():
        read = 0
        for source in sources:
            if not (files / source).is_file():
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter('ignore')
                    reader(files / source)
                read += 1
            except InputError:
                continue
        assert read, f'{name} reads none of {sources}'


def readers_of_the_package():
    """Names of public functions whose name says that they read, in every module."""
    names = set()
    for path in Path(mmreg.__file__).parent.rglob('*.py'):
        for node in ast.parse(path.read_text(encoding='utf-8')).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith(PREFIXES):
                names.add(node.name)
    return names


def test_every_reader_is_in_the_fuzz():
    """A new function ``read_*`` or ``load_*`` is in tests/trust/readers.py, with files or with who reads for it."""
    unknown = readers_of_the_package() - set(READERS) - set(ELSEWHERE)
    assert not unknown, f'{sorted(unknown)}: not in READERS or ELSEWHERE of tests/trust/readers.py'
