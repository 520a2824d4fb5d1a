"""Pictures of groups: letters that can be read, names that stay in their column, whatever the number of images."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from mmreg.io import Geometry, Volume
from mmreg.populations import pictures
from mmreg.populations.page import Page, Picture, Section, table_section, write_page


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
    page = (tmp_path / 'index.html').read_text(encoding='utf-8')
    assert '<div class="picture" tabindex="0"' in page and 'max-width: 100%' not in page


def test_a_colour_bar_says_that_a_map_goes_beyond_it(monkeypatch):
    values = np.linspace(-2, 2, 5 * 6 * 7, dtype=np.float32).reshape(5, 6, 7)
    ends = []
    monkeypatch.setattr(Figure, 'colorbar', lambda self, *args, extend, **kwargs: ends.append(extend) or Stand())
    for limits in ((-3, 3), (-1, 3), (-3, 1), (-1, 1)):
        pictures.slices_png({'map': Volume(values, Geometry.from_parts(values.shape, (1, 1, 1)))}, 'magma', limits)
    assert ends == ['neither', 'min', 'max', 'both']


class Stand:
    """In the place of a colour bar, which is not looked at."""

    class ax:
        @staticmethod
        def tick_params(**kwargs):
            pass


def test_numbers_and_long_texts_of_tables(tmp_path):
    """As in the report: nobody measures nanometres; the place of a file does not push columns off the page."""
    line = {
        'path': '/a/very/long/place/of/a.nii.gz',
        'off_mm': 8.9e-5,
        'back': -1e-9,
        'zero': 0.0,
        'size': 12.3456,
    }
    write_page(tmp_path / 'index.html', Page('A', 'B', [table_section('T', list(line), [line])]))
    page = (tmp_path / 'index.html').read_text(encoding='utf-8')
    for text in ('&lt; 0.001<', '&gt; -0.001<', '>0<', '>12.35<', 'class="long">/a/very'):
        assert text in page


def test_labels_are_told_apart_whatever_their_numbers(figures):
    """Those of FreeSurfer lie between 2 and 255; 2 and 3 are white and grey matter."""
    values = np.array([0, 2, 3, 41, 42, 251, 255])
    array = values[np.arange(7 * 6 * 5) % len(values)].reshape(7, 6, 5).astype(np.int16)
    pictures.labels_png({'labels': Volume(array, Geometry.from_parts(array.shape, (1, 1, 1)))})
    image = figures[0].axes[0].images[0]
    colours = image.cmap(image.norm(np.arange(len(values))))[:, :3]
    apart = [np.abs(a - b).max() for k, a in enumerate(colours) for b in colours[:k]]
    assert min(apart) > 0.3 and set(np.unique(image.get_array())) <= set(range(len(values)))
    assert [text.get_text() for text in figures[0].axes[-1].get_yticklabels()] == [str(v) for v in values[1:]]
