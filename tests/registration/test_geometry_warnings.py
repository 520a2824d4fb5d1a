"""Headers that cannot be right are named in words."""

import numpy as np
import pytest

from mmreg.io import Geometry
from mmreg.registration.results.inverse import InverseResidual
from mmreg.registration.results.warnings import geometry_warnings, warnings_in_words

from .phantoms import centred


@pytest.mark.parametrize(
    ('geometry', 'words'),
    [
        (centred((40, 40, 40), (1.0, 1.2, 3.0)), []),
        (centred((40, 40), (1.0, 1.0)), []),
        (Geometry.from_parts((40, 40)), []),
        (centred((40, 40, 40), (1000.0, 1000.0, 3000.0)), ['voxels of 1000 x 1000 x 3000 mm']),
        (centred((40, 40, 40), (0.001, 0.001, 0.003)), ['voxels of 0.001']),
        (centred((512, 512, 100), (5.0, 5.0, 5.0)), ['2560 x 2560 x 500 mm']),
        (Geometry.from_parts((40, 40, 40)), ['holds only defaults']),
        (Geometry((40, 40, 40), np.diag([-1.0, -1, 1, 1])), ['holds only defaults']),
    ],
)
def test_geometry_warnings(geometry, words):
    found = geometry_warnings('a.nii', geometry)
    assert len(found) == len(words)
    for text, word in zip(found, words):
        assert text.startswith('suspicious geometry: ') and 'a.nii' in text and word in text


def test_an_inverse_that_is_off_is_told():
    """From a tenth of a voxel on average; no inverse, nothing to say."""
    calm = (100.0, (100.0, 100.0), 0.0, (0.1, 1.0))
    off, near = InverseResidual(0.5, 4.0, 30), InverseResidual(0.01, 4.0, 30)
    assert [warnings_in_words(*calm, residual, 1.0) for residual in (near, None)] == [[], []]
    (said,) = warnings_in_words(*calm, off, 1.0)
    assert said == 'the inverse is inexact: 0.50 mm on average and 4.00 mm at most from the identity.'
