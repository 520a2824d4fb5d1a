"""Colours that must be told apart are, also by people who do not see red or green; ends of scales say so."""

import numpy as np
import pytest

from mmreg.visualization.colours import (
    FOLD_COLOUR,
    JACOBIAN_RANGE,
    OUTLINES,
    OVERLAY,
    beyond_percent,
    jacobian_colours,
    percent,
    saturation_ticks,
)

from .colour_vision import VISION, ciede2000, difference


def test_the_measure_gives_the_published_values():
    """Pairs 1, 7, 13 and 25 of the table of Sharma, Wu and Dalal."""
    pairs = [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, -0.001, 2.49), (50, 0.0011, -2.49), 4.7461),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ]
    for first, second, expected in pairs:
        assert ciede2000(first, second) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize('vision', VISION)
@pytest.mark.parametrize('pair', [OUTLINES, OVERLAY])
def test_pairs_are_told_apart(vision, pair):
    assert difference(*pair, vision) > 40


def test_the_measure_would_find_a_bad_pair():
    assert difference((80, 230, 120), (255, 90, 90), 'deuteranopia') < 15


@pytest.mark.parametrize('vision', VISION)
def test_folds_look_like_no_determinant(vision):
    colours = 255 * jacobian_colours(np.geomspace(*JACOBIAN_RANGE, 40))
    fold = 255 * np.array(FOLD_COLOUR)
    assert min(difference(fold, colour, vision) for colour in colours) > 15


def test_the_ends_of_the_scale_say_how_much_lies_beyond():
    determinants = np.array([-1.0, 0.4, 1.0, 1.5, 3.0, *[1.0] * 95])
    assert beyond_percent(determinants) == (2.0, 1.0)
    assert saturation_ticks(determinants) == ['≤ 0.5 (2 %)', '1', '≥ 2 (1 %)']
    assert saturation_ticks() == ['≤ 0.5', '1', '≥ 2']


def test_percentages_have_the_digits_they_deserve():
    assert [percent(v) for v in (0.0, 1e-5, 0.0123, 3.14159, 45.6, 100.0)] == [
        '0 %', '< 0.01 %', '0.012 %', '3.1 %', '46 %', '100 %',
    ]  # fmt: skip
