"""Surface distances: closed forms, MONAI, and a restatement of the public definition by brute force."""

import numpy as np
import pytest
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from monai.metrics.utils import get_code_to_measure_table
from scipy.spatial.distance import cdist

from mmreg.errors import DataError
from mmreg.evaluation.functional import surface
from tests.golden.fill import image

SPACINGS = {3: [(1.0, 1.0, 1.0), (1.8, 1.8, 10.0), (0.5, 2.0, 1.25)], 2: [(1.0, 1.0), (0.7, 3.0)]}


def _masks(seed, shape):
    return image(seed, shape, sigma=2.0) > 0.6, image(seed + 100, shape, sigma=2.0) > 0.55


def _case_list():
    for ndim, shape in ((3, (14, 11, 9)), (2, (24, 19))):
        for spacing in SPACINGS[ndim]:
            for seed in (0, 1, 2):
                yield pytest.param(shape, spacing, seed, id=f'{ndim}d-{spacing}-{seed}')


# MONAI calls its own deprecated argument.
MONAI_WARNS = pytest.mark.filterwarnings('ignore:monai.metrics.utils get_mask_edges:FutureWarning')
CASES = list(_case_list())


def _elements_by_definition(mask, spacing):
    """Positions (mm) and areas of surface elements, voxel pattern by voxel pattern."""
    table, kernel = (np.asarray(t, np.float64) for t in get_code_to_measure_table(spacing))
    kernel = kernel.reshape((2,) * mask.ndim)
    padded = np.pad(mask, 1).astype(int)
    positions, areas = [], []
    for index in np.ndindex(*(n - 1 for n in padded.shape)):
        code = int((padded[tuple(slice(i, i + 2) for i in index)] * kernel).sum())
        if 0 < code < len(table) - 1:
            positions.append(np.array(index) * spacing)
            areas.append(table[code])
    return np.array(positions), np.array(areas)


@pytest.mark.parametrize(('shape', 'spacing', 'seed'), CASES)
def test_areas_follow_the_public_definition(shape, spacing, seed):
    a, b = _masks(seed, shape)
    (pa, wa), (pb, wb) = _elements_by_definition(a, spacing), _elements_by_definition(b, spacing)
    distances = cdist(pa, pb)
    ab, ba = distances.min(1), distances.min(0)
    found = surface.surface_distances(a, b, spacing)
    np.testing.assert_allclose(np.sort(found.to_second), np.sort(ab), atol=1e-9)
    np.testing.assert_allclose(np.sort(found.to_first), np.sort(ba), atol=1e-9)

    def percentile(values, weights):
        candidates = np.unique(values)
        reached = np.array([weights[values <= v + 1e-9].sum() / weights.sum() for v in candidates])
        return candidates[reached >= 0.95][0]

    assert surface.robust_hausdorff(found) == pytest.approx(max(percentile(ab, wa), percentile(ba, wb)), abs=1e-9)
    assd = (ab @ wa + ba @ wb) / (wa.sum() + wb.sum())
    assert surface.average_surface_distance(found) == pytest.approx(assd, rel=1e-9)
    near = wa[ab <= 1.5].sum() + wb[ba <= 1.5].sum()
    assert surface.normalised_surface_dice(found, 1.5) == pytest.approx(near / (wa.sum() + wb.sum()), rel=1e-9)


@MONAI_WARNS
@pytest.mark.parametrize(('shape', 'spacing', 'seed'), CASES)
def test_voxels_follow_monai(shape, spacing, seed):
    a, b = _masks(seed, shape)
    ta, tb = (torch.from_numpy(m)[None, None].float() for m in (a, b))
    found = surface.surface_distances(a, b, spacing, elements='voxels')
    options = {'include_background': True, 'spacing': spacing}
    hd95 = float(compute_hausdorff_distance(ta, tb, percentile=95, **options))
    assert surface.robust_hausdorff(found, percentile='linear') == pytest.approx(hd95, rel=1e-5)
    maximum = float(compute_hausdorff_distance(ta, tb, **options))
    assert surface.robust_hausdorff(found, 100, percentile='linear') == pytest.approx(maximum, rel=1e-5)
    average = float(compute_average_surface_distance(ta, tb, symmetric=True, **options))
    assert surface.average_surface_distance(found) == pytest.approx(average, rel=1e-5)


@MONAI_WARNS
@pytest.mark.parametrize('seed', [0, 1])
def test_surface_dice_of_areas_follows_monai(seed):
    a, b = _masks(seed, (14, 11, 9))
    ta, tb = (torch.from_numpy(m)[None, None].float() for m in (a, b))
    found = surface.surface_distances(a, b, (0.5, 2.0, 1.25))
    expected = compute_surface_dice(
        ta, tb, [1.0], include_background=True, spacing=(0.5, 2.0, 1.25), use_subvoxels=True
    )
    assert surface.normalised_surface_dice(found, 1.0) == pytest.approx(float(expected), rel=1e-5)


def test_equal_masks_have_distance_zero():
    a, _ = _masks(0, (14, 11, 9))
    found = surface.surface_distances(a, a, (1.0, 2.0, 3.0))
    assert surface.robust_hausdorff(found) == 0 and surface.average_surface_distance(found) == 0
    assert surface.normalised_surface_dice(found, 0.0) == 1


@pytest.mark.parametrize('elements', surface.ELEMENTS)
def test_single_voxels_are_as_far_apart_as_they_are(elements):
    a, b = np.zeros((9, 8, 7), bool), np.zeros((9, 8, 7), bool)
    a[1, 2, 3], b[7, 5, 3] = True, True
    found = surface.surface_distances(a, b, (1.5, 1.0, 4.0), elements)
    assert surface.robust_hausdorff(found, 100) >= np.hypot(5 * 1.5, 2.0)
    assert surface.robust_hausdorff(found, 100) <= np.hypot(6 * 1.5, 3.0) + 1e-9
    if elements == 'voxels':
        assert surface.robust_hausdorff(found) == pytest.approx(np.hypot(9.0, 3.0))


@pytest.mark.parametrize('elements', surface.ELEMENTS)
def test_empty_masks_give_nan_and_no_crash(elements):
    a, _ = _masks(0, (14, 11, 9))
    nothing = np.zeros_like(a)
    for first, second in ((a, nothing), (nothing, a), (nothing, nothing)):
        found = surface.surface_distances(first, second, None, elements)
        assert found.empty
        assert np.isnan(surface.robust_hausdorff(found)) and np.isnan(surface.average_surface_distance(found))
    assert np.isnan(surface.normalised_surface_dice(surface.surface_distances(nothing, nothing), 1.0))


def test_labels_in_their_boxes_equal_the_whole_volume():
    a, b = (np.stack([image(s + k, (16, 13, 11), 2.0) for k in range(5)]).argmax(0) for s in (0, 50))
    a[a == 4] = 0  # a label of the second map only, and one (5) of neither
    spacing = (1.0, 1.5, 0.8)
    for label, found in zip(range(6), surface.label_surface_distances(a, b, range(6), spacing)):
        whole = surface.surface_distances(a == label, b == label, spacing)
        assert found.empty == whole.empty == (label in (4, 5))
        np.testing.assert_array_equal(found.to_second, whole.to_second)
        np.testing.assert_array_equal(found.first_weights, whole.first_weights)


def test_bad_arguments_are_refused():
    a = np.zeros((4, 5, 6), bool)
    with pytest.raises(DataError, match='shapes'):
        surface.surface_distances(a, a[:3])
    with pytest.raises(DataError, match='spacing'):
        surface.surface_distances(a, a, (1.0, 0.0, 1.0))
    with pytest.raises(DataError, match='elements'):
        surface.surface_distances(a, a, None, 'points')
