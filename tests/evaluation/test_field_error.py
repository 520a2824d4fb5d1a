"""Lengths of vectors: the axis of the components is told by the shape, the spacing or the caller, never guessed."""

import itertools
import math

import pytest
import torch

from mmreg.errors import DataError
from mmreg.evaluation.functional.field_error import end_point_errors, lengths


@pytest.mark.parametrize(
    ('count', 'ndim', 'told', 'mm'),
    list(itertools.product([None, 1, 2, 3, 4, 5], [2, 3], [False, True], [False, True])),
)
def test_every_batch_size(count, ndim, told, mm):
    size = (5, 6, 4)[:ndim]
    shape = (ndim, *size) if count is None else (count, ndim, *size)
    spacing = [2.0, 3.0, 6.0][:ndim] if mm else None
    expected = math.sqrt(sum(s**2 for s in spacing)) if mm else math.sqrt(ndim)
    found = end_point_errors(torch.ones(shape), torch.zeros(shape), spacing, *([count is not None] if told else []))
    assert found.shape == (size if count is None else (count, *size))
    torch.testing.assert_close(found, torch.full_like(found, expected))


@pytest.mark.parametrize('size', [(2, 5, 6), (3, 5, 6), (2, 2, 2), (3, 3, 3)])
def test_a_single_field_of_few_slices_is_told(size):
    field = torch.ones(3, *size)
    for found in (lengths(field, batched=False), lengths(field, [1.0, 1.0, 1.0])):
        assert found.shape == size and torch.allclose(found, torch.tensor(math.sqrt(3.0)))


def test_three_fields_in_two_dimensions():
    assert lengths(torch.ones(3, 2, 5, 6)).shape == (3, 5, 6)
    assert lengths(torch.ones(3, 2, 5, 6), [1.0, 1.0]).shape == (3, 5, 6)


@pytest.mark.parametrize(
    ('shape', 'options'),
    [((4, 5, 6, 7), {}), ((1, 5), {}), ((2, 5, 6), {'spacing': [1.0] * 3}), ((2, 5, 6), {'batched': True}),
     ((1, 3, 4, 4, 4), {'batched': False}), ((3, 4, 4, 4), {'spacing': [1.0, 1.0]})],
)  # fmt: skip
def test_other_shapes_are_refused(shape, options):
    with pytest.raises(DataError, match='expected'):
        lengths(torch.ones(shape), **options)
