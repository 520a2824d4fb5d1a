"""What a command says on the terminal: one sentence for a mistake, nothing beside it."""

import numpy as np
import pytest

from mmreg.errors import DataError, listed
from mmreg.utils.console import run, sentence


def test_what_overflows_on_its_way_to_a_check_is_told_once_by_the_check(capfd):
    def work():
        np.float64(1e300) * np.array([1e300, 2.0])
        np.array([1e300]).astype(np.float32)
        raise DataError('displacement: found 1 voxels that are NaN or infinite')

    assert run(work) == 2
    assert capfd.readouterr().err == 'mmreg: error: displacement: found 1 voxels that are NaN or infinite\n'


@pytest.mark.parametrize(
    ('told', 'words'),
    [
        ('DataLoader worker (pid 5) is killed by signal: Killed. ', 'killed from outside (often: no memory)'),
        ('DataLoader worker (pid(s) 7, 8) exited unexpectedly', 'killed from outside (often: no memory)'),
        ('DataLoader worker (pid 5) is killed by signal: Segmentation fault. ', 'by a signal (segmentation fault)'),
        ('DataLoader worker (pid 5) is killed by signal: Bus error. It is possible', '(bus error; often: no shared'),
    ],
)
def test_how_a_loader_worker_ended(told, words):
    text = sentence(RuntimeError(told))
    assert words in text and '--resume' in text and '\n' not in text


def test_lists_are_cut_and_say_so():
    assert listed(['a', 'b']) == 'a, b'
    assert listed({'a': 1, 'b': 2, 'c': 3}, '; ', 2) == 'a; b and 1 more'


def test_no_addresses_of_objects():
    assert str(DataError('a.npz: no header (malformed node: <ast.Name object at 0x7f3cf9e2fc40>)')) == (
        'a.npz: no header (malformed node: <ast.Name>)'
    )
