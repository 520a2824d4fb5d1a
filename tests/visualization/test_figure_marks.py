"""Letters, names of rows and colours of the figures."""

import numpy as np
import pytest

from mmreg.visualization.colours import JACOBIAN_RANGE, jacobian_colours
from mmreg.visualization.figure_marks import VIEW_CODES, edge_letters, plane_name, view_words
from mmreg.visualization.figures import overview_figure
from mmreg.visualization.slices import planes_of


def test_letters_say_where_the_patient_lies():
    assert edge_letters('RAS', 0, 1) == ['L', 'R', 'P', 'A']  # axial
    assert edge_letters('RAS', 1, 2) == ['P', 'A', 'I', 'S']  # sagittal
    assert edge_letters('LAS', 0, 2) == ['R', 'L', 'I', 'S']
    assert edge_letters('ij', 0, 1) == ['', '', '', '']


def test_the_view_is_said_in_words():
    words = {name: view_words(codes, 3) for name, codes in VIEW_CODES.items()}
    assert all(text.startswith(name) for name, text in words.items())
    assert view_words('LA', 2).startswith('radiological') and view_words('', 3) == ''


def test_rows_are_named_where_axes_are_the_patients():
    planes = planes_of((4, 6, 8))
    assert [plane_name(plane, 'RAS') for plane in planes] == ['sagittal', 'coronal', 'axial']
    assert [plane_name(plane, 'SAR') for plane in planes] == [''] * 3


def test_the_scale_is_logarithmic_and_says_where_it_ends():
    low, high = JACOBIAN_RANGE
    shrunk, same, grown, more = jacobian_colours(np.array([low, 1.0, high, 7 * high]))
    assert np.abs(same - same.mean()).max() < 0.03, '1 is white'
    assert shrunk[0] > shrunk[2] and grown[2] > grown[0]
    np.testing.assert_array_equal(grown, more)


@pytest.mark.parametrize('codes', ['RAS', 'LAS'])
def test_marks_are_drawn(codes):
    image = np.zeros((24, 20, 16), np.float32)
    field = np.zeros((3, 24, 20, 16), np.float32)
    plain, marked = (overview_figure(image, image, image, field, codes=c) for c in ('', codes))
    assert plain.shape == marked.shape and (plain != marked).any()
