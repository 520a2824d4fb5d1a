"""Convergence: a panel per stage with its own scale, nothing twice, nothing cut."""

from mmreg.visualization.report_curves import HEIGHT, LEFT, WIDTH, short, term_curves


def _xy(panel):
    return [tuple(map(float, pair.split(','))) for pair in panel.points.split()]


def test_a_panel_per_stage_with_its_own_scale():
    """The loss of the fine stage is higher than that of the coarse one, and still goes down in its own panel."""
    (curve,) = term_curves({'loss': [(0, 0, 1.0), (0, 1, 0.5), (1, 0, 9.0), (1, 1, 8.0), (1, 2, 7.0)]})
    assert [panel.title for panel in curve.panels] == ['stage 1 of 2: 1 to 0.5', 'stage 2 of 2: 9 to 7']
    for panel in curve.panels:
        places = _xy(panel)
        assert places[0][1] < places[-1][1], 'down'
        assert places[0][0] == LEFT and places[-1][0] <= WIDTH and max(y for _, y in places) < HEIGHT
    assert [panel.iterations for panel in curve.panels] == [2, 3]


def test_terms_with_the_same_values_share_a_curve():
    points = [(0, 0, 1.0), (0, 1, 0.5)]
    curves = term_curves({'loss': points, 'similarity': list(points), 'smoothness': [(0, 0, 0.0), (0, 1, 0.2)]})
    assert [curve.name for curve in curves] == ['loss = similarity', 'smoothness']


def test_values_that_are_none_and_empty_curves_are_left_out():
    assert term_curves({'a': [(0, 0, float('nan'))], 'b': []}) == []
    (curve,) = term_curves({'a': [(0, 0, 2.0), (0, 1, float('inf')), (0, 2, 1.0)]})
    assert curve.panels[0].iterations == 2
    (flat,) = term_curves({'a': [(0, n, 3.0) for n in range(5000)]})
    assert len(flat.panels[0].points.split()) < 600


def test_numbers_fit_into_the_margin():
    values = (0.0, 1.0, -123.456, 1.2345e-9, -9.8765e12, 99999.4, 0.0012345)
    assert max(len(short(value)) for value in values) <= 9  # of 12 px letters: below the 70 px of the margin
