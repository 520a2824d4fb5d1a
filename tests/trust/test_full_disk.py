"""A disk that is full: one sentence that names the place, nothing half-written, and what was complete stays."""

import io
import os
import resource
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

import mmreg.cli

FAST = ('--preset', 'fast.py', '--affine', 'none', '--device', 'cpu')
SOME = ('--outputs', 'warped', 'transforms', 'metrics')
COMMANDS = {
    'register': ('register', 'fixed.nii.gz', 'moving.nii.gz', '-o', 'out', *FAST, *SOME),
    'apply': ('apply', 'composite.h5', 'moving.nii.gz', '-r', 'fixed.nii.gz', '-o', 'out'),
    'compose': ('compose', 'composite.h5', '-o', 'out.h5'),
    'compose an image': ('compose', 'composite.h5', '-o', 'out.nii.gz'),
    'invert': ('invert', 'composite.h5', '-o', 'out.h5'),
    'jacobian': ('jacobian', 'composite.h5', '-o', 'out.nii.gz'),
    'publish': ('publish-model', 'net.pth', 'out', '--no-date'),
}  # fmt: skip


def run(*argv):
    """``(exit code, what was said)``; what pytest captures goes into files, which would be cut as well."""
    said = io.StringIO()
    with redirect_stderr(said), redirect_stdout(io.StringIO()):
        try:
            code = mmreg.cli.main(list(argv))
        except SystemExit as end:
            code = end.code
    return code, said.getvalue()


@contextmanager
def no_more_than(size):
    """Files of this process end at so many bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize('size', [0, 300])
@pytest.mark.parametrize('command', COMMANDS)
def test_nothing_is_left(command, size, work):
    before = sorted(os.listdir('.'))
    with no_more_than(size):
        code, text = run(*COMMANDS[command])
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith('mmreg: warning')]
    assert code == 2 and len(lines) == 1, (code, text)
    assert 'Traceback' not in text and '.tmp' not in text and 'H5F' not in text, text
    assert sorted(os.listdir('.')) == before, text
    assert run(*COMMANDS[command])[0] == 0


def test_what_was_complete_stays(work):
    """A cohort whose second case meets a full disk, and the rerun."""
    many = ('register', '--pairs', 'pairs.csv', '-o', 'out', *FAST, '--outputs', 'warped', 'metrics')
    assert run(*many)[0] == 0
    results = Path('out/results.csv')
    table = results.read_text(encoding='utf-8')
    files = {path: path.read_bytes() for path in Path('out').rglob('*') if path.is_file() and 'case0' in str(path)}
    (Path('out/case1/plan.json')).unlink()
    with no_more_than(200):
        code, text = run(*many)
    assert code != 0 and 'Traceback' not in text, text
    assert all(path.read_bytes() == content for path, content in files.items())
    assert run(*many)[0] == 0
    columns = [
        [line.split(',')[0] for line in text.splitlines()] for text in (table, results.read_text(encoding='utf-8'))
    ]
    assert columns[0] == columns[1]
