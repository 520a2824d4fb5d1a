"""What the tests of trust share: valid files, and one way to run a command."""

import shutil

import pytest

import mmreg.cli
from tests.trust import material
from tests.trust.forks import Runs


@pytest.fixture(scope='session')
def base(tmp_path_factory):
    """A folder of valid files; never written to."""
    return material.build(tmp_path_factory.mktemp('base'))


@pytest.fixture
def work(base, tmp_path, monkeypatch):
    """An empty folder to work in, with a copy of the valid files, as the current one."""
    target = tmp_path / 'work'
    shutil.copytree(base, target)
    monkeypatch.chdir(target)
    return target


@pytest.fixture(scope='session')
def runs():
    """Runs of ``mmreg`` in processes of their own."""
    with Runs() as server:
        yield server


@pytest.fixture
def mmreg_command(capfd):
    """Run ``mmreg`` in this process: ``(exit code, what stood on stderr)``; a stack trace is an error of the test."""

    def run(*argv):
        capfd.readouterr()
        try:
            code = mmreg.cli.main([str(word) for word in argv])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        return code, capfd.readouterr().err

    return run


@pytest.fixture
def refused(mmreg_command):
    """Run ``mmreg`` and expect exit code 2 and one line that says why, which is returned."""

    def run(*argv):
        code, text = mmreg_command(*argv)
        lines = [line for line in text.splitlines() if line.strip()]
        assert code == 2, (code, text)
        assert len(lines) == 1 and lines[0].startswith('mmreg: error: '), text
        return lines[0]

    return run
