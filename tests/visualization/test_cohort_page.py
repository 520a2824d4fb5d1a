"""The page of a cohort: hostile names stay text, every row is there, and thousands of them are no burden."""

import json
import re

import pytest

from mmreg.visualization.cohort_page import CohortContent, PageCase, cohort_html, column_title, write_cohort_page

from .browser import axe_violations, run_page
from .test_report import Page

HOSTILE = '</script><img src=x onerror=alert(1)> & "q" \' <b>'


def case(name='a', values=(0.5, 0.7), outliers=(), warnings='', reason=''):
    return PageCase(name, f'{name}/report.html', f'{name}/thumbnail.png', values, outliers, warnings, reason)


def content(cases, **changes):
    known = dict(title='study', columns=('dice_before', 'dice'), tables=('results.csv', 'summary.csv'))
    return CohortContent(cases=cases, **{**known, **changes})


def test_what_is_hostile_is_text():
    bad = [case(HOSTILE, warnings=HOSTILE), case('b', reason=HOSTILE)]
    summary = [{'metric': 'dice', 'cases': 2, 'mean': 0.5, 'worst_case': HOSTILE}]
    text = cohort_html(content(bad, title=HOSTILE, summary=summary))
    page = Page(text)
    assert text.count('</script>') == 2 and '<b> ' not in text
    assert not re.search(r'<img\b', text), 'pictures are made by the script alone'
    rows = json.loads(page.data)['rows']
    assert rows[0][0] == HOSTILE and rows[1][6] == HOSTILE
    assert HOSTILE in ' '.join(page.texts)
    assert not re.search(r'https?:|url\(|@import|fetch\(|XMLHttp|innerHTML|eval\(', text)


def test_numbers_and_titles(tmp_path):
    write_cohort_page(tmp_path / 'index.html', content([case(values=(None, float('nan')))]))
    data = json.loads(Page((tmp_path / 'index.html').read_text('utf-8')).data)
    assert data['columns'] == ['Dice, before', 'Dice'] and data['rows'][0][3] == [None, None]
    assert column_title('displacement_max_mm') == 'largest move, mm' and column_title('mine') == 'mine'


def test_an_empty_cohort_is_a_page():
    assert 'registered' in cohort_html(content([]))


PROBE = """
const $ = (id) => document.getElementById(id);
const names = () => [...$('rows').children].map((row) => row.children[0].textContent);
const set = (id, value) => { $(id).value = value; $(id).dispatchEvent(new Event('input')); };
const out = { ready: document.documentElement.dataset.ready, milliseconds: performance.now() };
out.count = $('rows').children.length;
out.place = $('place').textContent;
$('titles').children[3].querySelector('button').click();
out.lowest = names()[0];
out.sorted = $('titles').children[3].getAttribute('aria-sort');
$('titles').children[3].querySelector('button').click();
out.highest = names()[0];
set('which', 'failed'); out.failed = names();
set('which', 'outliers'); out.outliers = names(); out.marked = document.querySelectorAll('#rows .far').length;
set('which', 'all'); set('search', 'case_0012'); out.found = names();
set('search', ''); $('next').click(); out.second = $('place').textContent;
out.scripts = document.querySelectorAll('script').length;
return out;
"""


def test_ten_thousand_rows_in_a_browser(tmp_path):
    cases = [case(f'case_{n:05d}', values=(0.5, (n * 7919 % 10_000) / 10_000)) for n in range(9_998)]
    cases += [case('odd', values=(0.5, -1.0), outliers=(1,)), case('broken', values=(None, None), reason='no file')]
    write_cohort_page(tmp_path / 'index.html', content(cases))
    assert (tmp_path / 'index.html').stat().st_size < 3e6
    out = run_page(tmp_path / 'index.html', PROBE)
    assert out['errors'] == [] and out['ready'] == 'yes' and out['milliseconds'] < 5000
    assert out['count'] == 50 and out['place'] == '1 to 50 of 10000'
    assert out['lowest'] == 'odd' and out['sorted'] == 'ascending'
    assert out['highest'] == f'case_{next(n for n in range(9_998) if n * 7919 % 10_000 == 9_999):05d}'
    assert out['failed'] == ['broken'] and out['outliers'] == ['odd'] and out['marked'] == 1
    assert sorted(out['found']) == [f'case_0012{n}' for n in range(10)] and out['second'] == '51 to 100 of 10000'


def test_hostile_names_in_a_browser(tmp_path):
    write_cohort_page(tmp_path / 'index.html', content([case(HOSTILE, warnings=HOSTILE), case('b', reason=HOSTILE)]))
    look = """
      const first = document.querySelector('#rows th').textContent;
      return { first, bold: document.querySelectorAll('#rows b').length };
    """
    out = run_page(tmp_path / 'index.html', look)
    assert out['first'] == HOSTILE and out['bold'] == 0 and not [e for e in out['errors'] if 'alert' in e]


@pytest.mark.parametrize('name', ['page.css', 'cohort.css', 'cohort.js', 'report.js', 'report.css'])
def test_no_font_is_smaller_than_twelve_pixels(name):
    """``rem`` are 16 pixels, the body's are 15."""
    from mmreg.visualization.page import asset

    found = re.findall(r'font(?:-size)?:\s*(?:\d+\s+)?([\d.]+)(px|rem)', asset(name))
    assert all(float(size) * (16 if unit == 'rem' else 1) >= 12 for size, unit in found)


@pytest.mark.parametrize('width', [1280, 390])
def test_axe_finds_nothing_wrong(tmp_path, width):
    cases = [case('a', warnings='w'), case('b', outliers=(1,)), case('c', reason='no such file')]
    summary = [{'metric': 'dice', 'cases': 3, 'mean': 0.5, 'worst_case': 'a'}]
    write_cohort_page(tmp_path / 'index.html', content(cases, summary=summary))
    assert axe_violations(tmp_path / 'index.html', '', (width, 900))['violations'] == []
