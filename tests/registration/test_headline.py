"""The main numbers have the same digits wherever they are shown."""

from mmreg.registration.cohort.outcome import line_metrics
from mmreg.registration.results.headline import changes, facts, headline

METRICS = {
    'dice': {'before': 0.61249, 'after': 0.8},
    'tre': {'before': 10.0, 'after': 1.234},
    'folds_percent': {'before': 0.0, 'after': 0.01234},
}


def test_one_line_and_a_page():
    assert headline('a', METRICS) == 'a   dice 0.612 -> 0.800   tre 10.00 -> 1.23 mm   folds 0.0123 %'
    assert facts(METRICS) == {'Dice': '0.612 → 0.800', 'TRE': '10.00 → 1.23 mm', 'folds': '0.0123 %'}
    assert headline('a', {}) == 'a'


def test_a_line_of_a_cohort_shows_the_same():
    line = {'dice': 0.8, 'dice_before': 0.61249, 'tre': 1.234, 'tre_before': 10.0, 'hd95': None}
    assert changes(line_metrics(line)) == changes(METRICS)


def test_few_folds_are_not_none():
    told = [headline('a', {'folds_percent': {'before': 0.0, 'after': value}}) for value in (0.0, 4e-5, 0.25)]
    assert told == ['a   folds 0 %', 'a   folds < 0.001 %', 'a   folds 0.25 %']
