"""A result that is worse than the start says so, and what to try."""

from mmreg.registration.results.doubts import doubts_in_words
from mmreg.registration.results.headline import headline, millimetres


def numbers(**pairs):
    return {name: {'before': before, 'after': after} for name, (before, after) in pairs.items()}


def test_nothing_is_said_of_a_good_result():
    assert not doubts_in_words(numbers(lncc=(0.3, 0.6), nmi=(0.1, 0.2), dice=(0.5, 0.7), jacobian_min=(1, 0.3)))


def test_scores_that_got_worse_are_named():
    (sentence,) = doubts_in_words(numbers(dice=(0.7, 0.72), hd95=(3.0, 4.5), tre=(5.0, 4.0)))
    assert 'HD95 went from 3.00 to 4.50 mm' in sentence and '--preset' in sentence
    assert len(doubts_in_words(numbers(dice=(0.7, 0.6), tre=(1.0, 2.0)))) == 2
    assert not doubts_in_words(numbers(dice=(0.7, 0.699), hd95=(3.0, 3.05)))


def test_similarity_that_fell_in_both_measures():
    (sentence,) = doubts_in_words(numbers(lncc=(0.5, 0.4), nmi=(0.3, 0.2)))
    assert sentence.startswith('worse than the start') and '0.500 to 0.400' in sentence
    assert not doubts_in_words(numbers(lncc=(0.5, 0.4), nmi=(0.3, 0.35))), 'another contrast may look so'


def test_a_squeezed_voxel_is_told_and_a_fold_is_told_elsewhere():
    assert 'squeezed' in doubts_in_words(numbers(jacobian_min=(1, 0.01)))[0]
    assert not doubts_in_words(numbers(jacobian_min=(1, -0.5)))


def test_one_line_with_units_and_sensible_digits():
    found = numbers(lncc=(0.31, 0.62), folds_percent=(0, 0.0), jacobian_min=(1, 0.213), jacobian_max=(1, 2.518))
    found |= numbers(displacement_mean_mm=(0, 4.08e-05), displacement_max_mm=(0, 12.345))
    assert headline('a__b', found) == (
        'a__b   lncc 0.310 -> 0.620   folds 0 %   Jacobian 0.21 to 2.52   moves < 0.001 mm on average, 12.3 mm at most'
    )
    assert [millimetres(v) for v in (0, 0.0123, 1.234)] == ['0 mm', '0.012 mm', '1.23 mm']


def test_an_affine_is_told_and_alone_is_all_that_moves():
    found = numbers(displacement_mean_mm=(0, 0.0), displacement_max_mm=(0, 0.0))
    assert 'moves 0 mm on average' in headline('a', found)
    found['affine_mm'] = {'mean': 0.0, 'max': 0.0}
    assert headline('a', found) == 'a   moves 0 mm on average, 0 mm at most', 'the headers were kept'
    found['affine_mm'] = {'mean': 5.25, 'max': 12.0}
    assert headline('a', found) == 'a   affine 5.25 mm on average, 12.0 mm at most'
    found |= numbers(displacement_mean_mm=(0, 1.5), displacement_max_mm=(0, 4.0))
    assert headline('a', found).endswith('12.0 mm at most   moves 1.50 mm on average, 4.00 mm at most')
