"""What a command says on the terminal: one sentence for a mistake, nothing beside it."""

import numpy as np

from mmreg.errors import DataError
from mmreg.utils.console import run


def test_what_overflows_on_its_way_to_a_check_is_told_once_by_the_check(capfd):
    def work():
        np.float64(1e300) * np.array([1e300, 2.0])
        np.array([1e300]).astype(np.float32)
        raise DataError('displacement: found 1 voxels that are NaN or infinite')

    assert run(work) == 2
    assert capfd.readouterr().err == 'mmreg: error: displacement: found 1 voxels that are NaN or infinite\n'
