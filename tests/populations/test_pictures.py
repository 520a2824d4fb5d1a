"""Pictures of groups: letters that can be read, names that stay in their column, whatever the number of images."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from mmreg.io import Geometry, Volume
from mmreg.populations import pictures
from mmreg.populations.page import Page, Picture, Section, write_page


@pytest.fixture
def figures(monkeypatch):
    """The figures behind the pictures, in order."""
    drawn, png = [], pictures._png
    monkeypatch.setattr(pictures, '_png', lambda figure: drawn.append(figure) or png(figure))
    return drawn


def volume(shape=(12, 14, 10)):
    return Volume(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), Geometry(shape, np.diag([4.0, 4, 4, 1])))


@pytest.mark.parametrize('count', [1, 3, 8])
@pytest.mark.parametrize('colours', ['gray', 'magma'])
def test_letters_of_slices(figures, count, colours):
    pictures.slices_png({f'sub-{n}_ses-baseline_T1w': volume() for n in range(count)}, colours)
    (figure,) = figures
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert figure.get_figwidth() * figure.dpi <= 1088  # 70 rem less the page's padding
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() * figure.dpi / 72 for text in texts) >= 12
    names = [text.get_window_extent() for text in texts if text.get_text().startswith('sub-')]
    assert len(names) == count
    assert all(left.x1 < right.x0 for left, right in zip(names, names[1:]))


def test_letters_of_curves(figures):
    names = [f'translation {axis} mm' for axis in 'xyz']
    pictures.curves_png({name: [3.0, 2.0, 1.0] for name in names}, 'frame', 'mm')
    (figure,) = figures
    FigureCanvasAgg(figure).draw()
    key, axis = figure.legends[0].get_window_extent(), figure.axes[0]
    assert key.y0 >= axis.get_window_extent().y1 and 0 <= key.x0 < key.x1 <= figure.get_figwidth() * figure.dpi
    assert all(float(tick).is_integer() for tick in axis.get_xticks())
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    assert min(text.get_fontsize() * figure.dpi / 72 for text in texts) >= 12


def test_a_page_does_not_shrink_its_pictures(tmp_path):
    """On a telephone a picture is scrolled: its letters keep their size."""
    picture = Picture(pictures.slices_png({'a': volume()}), 'A scan.')
    write_page(tmp_path / 'index.html', Page('A group', 'One scan.', [Section('Scans', '', [picture])]))
    page = (tmp_path / 'index.html').read_text()
    assert '<div class="picture" tabindex="0"><img' in page and 'max-width: 100%' not in page
