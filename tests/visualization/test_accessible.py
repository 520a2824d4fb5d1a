"""Pages that everybody can read, told from their text alone: names of controls, headings, languages, contrasts."""

import re
import tempfile
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mmreg.populations.page import Page, Picture, table_section, write_page
from mmreg.populations.pictures import curves_png
from mmreg.visualization.cohort_page import cohort_html
from mmreg.visualization.page import asset
from mmreg.visualization.report import report_html
from mmreg.visualization.viewer import ShownScan, view_html

from . import test_cohort_page, test_report
from .browser import axe_violations, run_page

PAGES = {
    'report': lambda: report_html(test_report.content()),
    'group': lambda: group_page(),
    'view': lambda: view_html('x', [ShownScan('a', bytes)]),
    'cohort': lambda: cohort_html(
        test_cohort_page.content(
            [test_cohort_page.case(), test_cohort_page.case('b', reason='gone')],
            summary=[{'metric': 'dice', 'cases': 1, 'mean': 0.5, 'worst_case': 'a'}],
        )
    ),
}


def group_page():
    """Of a template, a cohort's statistics and the like."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Picture(curves_png({'mm': [1.0, 2.0]}, 'round', 'mm'), 'How far it moved.', chart=True)
        lines = [{'scan': 'a', 'off_mm': 1e-5}]
        sections = [table_section('Scans', ['scan', 'off_mm'], lines, 'In words.', [picture])]
        write_page(Path(folder) / 'index.html', Page('A group', 'One scan.', sections, ['Look here.']))
        return (Path(folder) / 'index.html').read_text('utf-8')


_VOID = {'meta', 'link', 'input', 'br', 'img', 'path', 'polyline'}
_NAMED = {'aria-label', 'aria-labelledby', 'title'}


class Structure(HTMLParser):
    """Elements with their attributes and ancestors, headings in order, and the text of each element."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        element = {'tag': tag, 'attrs': dict(attrs), 'within': [one['tag'] for one in self._open], 'text': ''}
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._open.pop()

    def handle_endtag(self, tag):
        if tag not in _VOID:
            assert self._open and self._open[-1]['tag'] == tag, f'</{tag}> closes <{self._open[-1]["tag"]}>'
            self._open.pop()

    def handle_data(self, data):
        for one in self._open:
            one['text'] += data

    def of(self, *tags):
        return [one for one in self.elements if one['tag'] in tags]


@pytest.fixture(params=PAGES)
def page(request):
    return Structure(PAGES[request.param]())


def test_elements_are_closed_and_ids_are_unique(page):
    assert not page._open
    ids = [one['attrs']['id'] for one in page.elements if 'id' in one['attrs']]
    assert len(ids) == len(set(ids))


def test_language_title_and_one_main(page):
    assert page.of('html')[0]['attrs']['lang'] == 'en' and page.of('title')[0]['text'].strip()
    assert len(page.of('main')) == 1 and len(page.of('h1')) == 1


def test_headings_skip_no_level(page):
    levels = [int(one['tag'][1]) for one in page.of('h1', 'h2', 'h3', 'h4')]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in zip(levels, levels[1:]))


def test_controls_pictures_and_regions_have_names(page):
    ids = {one['attrs'].get('id') for one in page.elements}
    for one in page.of('input', 'select'):
        assert 'label' in one['within'] or _NAMED & set(one['attrs']), one
    for one in page.of('button', 'summary', 'th', 'option'):
        assert one['text'].strip() or one['attrs'].get('id'), one
    for one in page.of('svg', 'canvas', 'img'):
        assert _NAMED & set(one['attrs']) or one['attrs'].get('alt'), one
    for one in page.elements:
        assert one['attrs'].get('aria-labelledby', None) in {None, *ids}
        if one['attrs'].get('tabindex') == '0':
            assert one['attrs'].get('role') == 'group' and one['attrs'].get('aria-label'), one


def test_headers_of_tables_say_what_they_head(page):
    assert all(one['attrs'].get('scope') in ('col', 'row') for one in page.of('th'))


#: Colour of letters and of what is behind them, by the names of the style.
PAIRS = [('ink', 'paper'), ('quiet', 'paper'), ('accent', 'paper'), ('good', 'paper'), ('bad', 'paper'),
         ('ink', 'card'), ('ink', 'warn-back')]  # fmt: skip


@pytest.mark.parametrize('mode', [0, 1])
@pytest.mark.parametrize('pair', PAIRS)
def test_letters_stand_out(mode, pair):
    """WCAG 2.1: 4.5 to 1, in light and in dark mode."""
    modes = re.findall(r':root \{(.*?)\}', asset('page.css'), re.DOTALL)
    colours = dict(re.findall(r'--([\w-]+): (#[0-9a-f]{6})', modes[mode]))
    assert _contrast(colours[pair[0]], colours[pair[1]]) >= 4.5


def test_the_measure_of_contrast():
    assert _contrast('#000000', '#ffffff') == pytest.approx(21) and _contrast('#777777', '#ffffff') < 4.5


def _contrast(first, second):
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour):
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_axe_would_find_a_bad_page(tmp_path):
    page = tmp_path / 'bad.html'
    page.write_text('<!DOCTYPE html><html data-ready="yes"><body><img src="data:,"><input></body></html>')
    found = {rule for rule, *_ in axe_violations(page)['violations']}
    assert {'image-alt', 'label', 'html-has-lang'} <= found


@pytest.mark.parametrize('width', [1280, 390])
@pytest.mark.parametrize('name', ['report', 'cohort', 'group'])
def test_nothing_sticks_out_of_a_page(name, width, tmp_path):
    """What is broader than a screen moves in a frame of its own."""
    page = tmp_path / 'page.html'
    text = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', '', PAGES[name]())  # the probe is a script
    page.write_text(text.replace('<html', '<html data-ready="yes"', 1), encoding='utf-8')
    found = run_page(page, SIZES, size=(width, 900))
    assert found['errors'] == [] and found['window'] == width and found['page'] <= width, found


SIZES = 'return { window: innerWidth, page: document.documentElement.scrollWidth };'
