"""The report: nothing from outside, the right pictures inside, and controls that work in a browser."""

import base64
import io
import json
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from mmreg.errors import DataError
from mmreg.io.tables import Row
from mmreg.spatial import identity_grid
from mmreg.visualization.figures import jacobian_of
from mmreg.visualization.report import ReportContent, viewer_data, write_report
from mmreg.visualization.report_images import GRID_UNIT, choose_cuts, picture_size, upright
from mmreg.visualization.report_tables import number

from .browser import axe_violations, run_page


def content(size=(22, 26, 18), **changes):
    """A pair with labels, folds, curves and text that would break a careless page."""
    rng = np.random.default_rng(0)
    images = {name: rng.uniform(5, 100, size).astype(np.float32) for name in ('fixed', 'moving', 'warped')}
    displacement = rng.normal(size=(len(size), *size)).astype(np.float32) * 0.1
    grid = identity_grid(size).numpy()
    half = size[0] // 2
    displacement[0, :half] -= 2 * (grid[0, :half] - half / 2)  # a mirror: folded there
    values = dict(
        title='a </script><b>x</b> & y',
        images=images,
        displacement=displacement,
        spacing=(1.0, 2.0, 1.5)[: len(size)],
        codes='RAS'[: len(size)],
        labels={name: (image > 60).astype(np.int16) for name, image in images.items()},
        headline={'Dice': '0.5 -> 0.7'},
        rows=[Row('a', 'dice', '1', 0.7, 0.5), Row('a', 'dice', '2', 0.6, 0.7), Row('a', 'sdlogj', '', 0.2, 0.0)],
        warnings=['low <overlap>'],
        curves={'total': [(1, 0, 3.0), (1, 1, 2.0), (0, 0, 1.5), (0, 1, float('nan')), (0, 2, 1.0)]},
        plan={'seed': 3, 'inputs': {'fixed': {'path': 'f.nii.gz', 'sha256': 'ab' * 32}}, 'config': 'x = 1\n' * 60},
    )
    return ReportContent(**{**values, **changes})


class Page(HTMLParser):
    """What a page refers to, its text, and its embedded data."""

    def __init__(self, text):
        super().__init__()
        self.references, self.texts, self.data, self._data = [], [], '', False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.references += [value for name, value in attrs if name in ('src', 'href', 'srcset', 'action', 'poster')]
        self._data = tag == 'script' and ('id', 'data') in attrs

    def handle_data(self, data):
        if self._data:
            self.data += data
        self.texts.append(data)

    def handle_endtag(self, tag):
        self._data = False


def test_page_is_whole_and_refers_to_nothing(tmp_path):
    path = tmp_path / 'report.html'
    write_report(path, content())
    text = path.read_text(encoding='utf-8')
    page = Page(text)
    assert all(reference.startswith('data:') for reference in page.references)
    assert "default-src 'none'" in text and '{{' not in text
    assert not re.search(r'https?:|url\(|@import|fetch\(|XMLHttp|WebSocket|eval\(|import\(', text)
    said = ' '.join(page.texts)
    assert 'a </script><b>x</b> & y' in said and 'Low <overlap>' in said  # as text, not as markup
    assert text.count('</script>') == 2
    assert 'Dice, mean of 2' in said and 'better' in said and 'worse' in said
    assert 'stage 1 of 2: 3 to 2' in said and 'stage 2 of 2: 1.5 to 1' in said
    assert 'ab' * 32 in said and 'inputs' in said
    assert [p.name for p in tmp_path.iterdir()] == ['report.html']


def picture(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(',', 1)[1]))))


@pytest.mark.parametrize('size', [(20, 26), (22, 26, 18)])
def test_embedded_pictures_are_the_slices(tmp_path, size):
    given = content(size)
    write_report(tmp_path / 'r.html', given)
    data = json.loads(Page((tmp_path / 'r.html').read_text(encoding='utf-8')).data)
    determinant = jacobian_of(given.displacement)
    assert len(data['planes']) == (3 if len(size) == 3 else 1)
    names = [plane['name'] for plane in data['planes']]
    assert names == (['axial', 'coronal', 'sagittal'] if len(size) == 3 else ['slice'])
    for plane, axis in zip(data['planes'], (2, 1, 0)):
        cut = (lambda a, n, axis=axis: np.take(a, n, a.ndim - 3 + axis)) if len(size) == 3 else (lambda a, n: a)
        width, height = plane['size']
        pictures = {name: picture(url) for name, url in plane['pictures'].items()}
        jacobian, outline = picture(plane['jacobian']), picture(plane['outline'])
        for row, index in enumerate(plane['slices']):
            rows = slice(row * height, (row + 1) * height)
            for name, sprite in pictures.items():
                expected = upright(cut(given.images[name], index))
                assert sprite[rows].shape == expected.shape == (height, width)
                assert np.corrcoef(sprite[rows].ravel(), expected.ravel())[0, 1] > 0.999
            folds = upright(cut(determinant, index)) <= 0
            assert np.array_equal(jacobian[rows] == 0, folds) and plane['folds'][row] == folds.sum()
            labels = upright(cut(given.labels['fixed'], index))
            horizontal = labels[:, :-1] != labels[:, 1:]
            assert ((outline[rows] & 1)[:, :-1] >= horizontal).all() and (outline[rows] & 1).mean() < 1
    assert sum(sum(plane['folds']) for plane in data['planes']) > 0
    edges = [plane['edges'] for plane in data['planes']]
    assert edges[0] == ['L', 'R', 'P', 'A'] and (len(size) == 2 or edges[2] == ['P', 'A', 'I', 'S'])


def test_embedded_grid_is_the_deformation():
    given = content((24, 30))
    plane = viewer_data(given)['planes'][0]
    grid = plane['grid']
    points = (
        np.frombuffer(base64.b64decode(grid['data']), '<i2').reshape(1, grid['rows'], grid['columns'], 2) / GRID_UNIT
    )
    step = round(24 / grid['columns'])
    i, j = 3 * step, 5 * step
    moved = np.array([i, j]) + given.displacement[:, i, j]
    np.testing.assert_allclose(points[0, 5, 3], [moved[0] + 0.5, 30 - moved[1] - 0.5], atol=1 / GRID_UNIT)


def test_slices_with_folds_are_among_the_chosen():
    fixed = np.zeros((60, 70, 80), np.float32)
    fixed[10:50, 20:60, 30:70] = 1
    folds = np.zeros(fixed.shape, bool)
    folds[37, 41, 43] = True
    cuts = choose_cuts(fixed, folds, 4)
    assert [37 in cuts[2].indices, 41 in cuts[1].indices, 43 in cuts[0].indices] == [True] * 3
    assert min(cuts[2].indices) >= 10 and max(cuts[2].indices) <= 49  # no empty slices
    assert len(choose_cuts(fixed[:, :, 0], folds[:, :, 0], 4)) == 1


@pytest.mark.parametrize('shape', [(160, 192, 224), (300, 300, 60), (30, 700, 20)])
def test_size_stays_below_ten_megabytes(shape):
    noise = np.random.default_rng(0).random(shape, np.float32)  # nothing can be compressed
    cuts = choose_cuts(noise, np.broadcast_to(False, shape), 6)
    pixels = sum(len(cut.indices) * np.prod(picture_size(cut, shape)) for cut in cuts)
    assert 6 * pixels * 4 / 3 < 9e6
    assert min(len(cut.indices) for cut in cuts) >= 7


def test_what_compresses_well_is_shown_in_more_slices():
    shape = (80, 96, 112)
    noise = np.random.default_rng(0).random(shape, np.float32)
    smooth = np.broadcast_to(np.linspace(0, 1, 80, dtype=np.float32)[:, None, None], shape)
    few, many = (choose_cuts(image, np.broadcast_to(False, shape), 30) for image in (noise, smooth))
    assert len(many[0].indices) > len(few[0].indices)


def test_what_does_not_fit_is_refused():
    good = content()
    with pytest.raises(DataError, match='no warped image, expected fixed, moving, warped'):
        write_report('never.html', content(images={'fixed': good.images['fixed'], 'moving': good.images['moving']}))
    with pytest.raises(DataError, match='found a fixed label map of shape'):
        write_report('never.html', content(labels={'fixed': np.zeros((3, 3, 3), int)}))
    with pytest.raises(DataError, match='displacement of shape'):
        write_report('never.html', content(displacement=good.displacement[:2]))
    assert not os.path.exists('never.html')


def test_report_without_extras(tmp_path):
    plain = content(labels={}, rows=[], warnings=[], curves={}, plan={}, codes='LPS')
    write_report(tmp_path / 'r.html', plain)
    text = (tmp_path / 'r.html').read_text(encoding='utf-8')
    assert 'No warnings' in text and 'No optimisation was run' in text and 'No labels or landmarks' in text
    assert 'across axis' in text  # planes have no usual names for axes of other directions


PROBE = """
const get = (id) => document.getElementById(id);
const set = (id, value) => { get(id).value = value; get(id).dispatchEvent(new Event('input')); };
const panels = () => [...document.querySelectorAll('.plane')[0].querySelectorAll('canvas')].map((c) => c.toDataURL());
const changed = (before) => panels().map((now, n) => now !== before[n]);
const out = { planes: document.querySelectorAll('.plane').length, modes: {} };
let before = panels();
set('slice-0', 0);
out.slice = changed(before);
const wheel = (deltaY) => document.querySelector('.plane canvas').dispatchEvent(
  new WheelEvent('wheel', { deltaY, bubbles: true, cancelable: true }));
out.wheel = [wheel(-100), get('slice-0').value, wheel(100), get('slice-0').value];
const captions = [...document.querySelectorAll('.plane')[0].querySelectorAll('figcaption')].map((c) => c.textContent);
const at = captions.findIndex((text) => text.includes('checkerboard'));
const pictures = new Set();
for (const option of get('mode').options) {
  set('mode', option.value);
  pictures.add(panels()[at]);
  before = panels();
  set('amount', 10);
  out.modes[option.value] = changed(before)[at];
  set('amount', 50);
}
out.pictures = pictures.size;
set('mode', 'blend');
before = panels();
set('other', 'moving');
out.other = changed(before);
before = panels();
get('show-outlines').click();
out.outlines = changed(before);
out.key = !get('outline-key').hidden;
before = panels();
out.words = [get('orientation').textContent];
set('view', 'radiological');
out.words.push(get('orientation').textContent);
out.view = changed(before);
set('view', 'neurological');
out.back = changed(before);
const width = document.querySelector('canvas').clientWidth;
set('zoom', 400);
out.zoom = document.querySelector('canvas').clientWidth > width;
const small = (e) => parseFloat(getComputedStyle(e).fontSize) < 12 && e.textContent.trim();
const all = [...document.querySelectorAll('body *')];
out.small = all.filter((e) => !e.closest('script') && small(e)).map((e) => e.outerHTML);
set('mode', 'flicker');
set('amount', 100);
const seen = new Set();
for (let round = 0; round < 60; round++) {
  seen.add(panels()[at]);
  await new Promise((done) => setTimeout(done, 50));
}
out.flicker = seen.size;
out.labelled = [...document.querySelectorAll('canvas')].every((c) => c.getAttribute('aria-label'));
return out;
"""


def test_controls_in_a_browser(tmp_path):
    """In headless Chromium, where it is installed."""
    write_report(tmp_path / 'r.html', content())
    out = run_page(tmp_path / 'r.html', PROBE)
    assert out['errors'] == []
    assert out['planes'] == 3 and out['labelled'] and out['zoom'] and out['small'] == []
    assert all(out['slice']) and len(out['slice']) == 6  # fixed, moving, warped, comparison, grid, Jacobian
    assert out['wheel'] == [True, '0', False, '1'], 'at the first slice the page scrolls, elsewhere the slices move'
    assert {mode for mode, moves in out['modes'].items() if moves} >= {'checkerboard', 'blend', 'curtain'}
    assert out['pictures'] >= 5 and out['flicker'] == 2
    assert out['other'] == [False, False, False, True, False, False]
    assert out['outlines'] == [True, True, True, True, False, False] and out['key']
    assert all(out['view']) and not any(out['back'])
    assert out['words'][0].startswith('Neurological') and out['words'][1].startswith('Radiological')


@pytest.mark.parametrize('width', [1280, 390])
def test_axe_finds_nothing_wrong(tmp_path, width):
    """In headless Chromium with axe-core, where ``MMREG_AXE`` names its script."""
    write_report(tmp_path / 'r.html', content())
    opened = "document.querySelectorAll('details').forEach((one) => { one.open = true; });"
    assert axe_violations(tmp_path / 'r.html', opened, (width, 900))['violations'] == []


ON_A_PHONE = """
const table = document.querySelector('#metrics table, table');
const tops = [...document.querySelectorAll('.plane')[0].querySelectorAll('figure')].map((one) => one.offsetTop);
return {
  window: innerWidth, page: document.documentElement.scrollWidth,
  table: table.getBoundingClientRect().right, beside: tops[0] === tops[1] && tops[1] < tops[2],
};
"""


def test_a_phone_shows_whole_tables_and_two_pictures_beside_each_other(tmp_path):
    write_report(tmp_path / 'r.html', content())
    out = run_page(tmp_path / 'r.html', ON_A_PHONE, size=(390, 844))
    assert out['window'] == 390 and out['page'] <= 390 and out['table'] <= 390 and out['beside'], out


def test_labels_have_their_names(tmp_path):
    write_report(tmp_path / 'r.html', content(label_names={1: 'left <thing>'}))
    said = ' '.join(Page((tmp_path / 'r.html').read_text('utf-8')).texts)
    assert 'left <thing> (1)' in said and 'mean of 2' in said


def test_the_page_opens_in_the_view_that_was_asked_for():
    assert viewer_data(content(view='radiological'))['view'] == 'radiological'
    assert viewer_data(content(codes=''))['view'] == '', 'no switch where nobody knows the sides'


def test_small_numbers_are_told_as_such():
    assert [number(v) for v in (4.08e-5, -4e-5, 0.0, 0.12345, 123.456, 12345.6, float('nan'))] == [
        '< 0.001', '> -0.001', '0.000', '0.123', '123.5', '12346', '-',
    ]  # fmt: skip
