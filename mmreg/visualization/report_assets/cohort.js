'use strict';
(function () {
  const PAGE = 50;
  const data = JSON.parse(document.getElementById('data').textContent);
  const get = (id) => document.getElementById(id);
  const cases = data.rows.map(([name, report, thumbnail, values, outliers, warnings, reason], order) => (
    { name, report, thumbnail, values, outliers: new Set(outliers), warnings, reason, order }));
  const FILTERS = {
    all: () => true,
    outliers: (one) => one.outliers.size > 0,
    warnings: (one) => one.warnings !== '',
    failed: (one) => one.reason !== '',
  };
  let shown = cases;
  let start = 0;
  let sorted = { column: null, up: true };

  const element = (tag, text, className) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  function number(value) {
    if (value === null) return '-';
    const size = Math.abs(value);
    if (value !== 0 && size < 0.001) return value > 0 ? '< 0.001' : '> -0.001';
    return value.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : 3);
  }

  function thumbnail(one) {
    const cell = element('td');
    if (!one.thumbnail) return cell;
    const image = document.createElement('img');
    image.loading = 'lazy';
    image.alt = `fixed, warped and difference of ${one.name}`;
    image.addEventListener('error', () => image.remove());
    image.src = one.thumbnail;
    cell.append(image);
    return cell;
  }

  function row(one) {
    const line = element('tr');
    const name = element('th');
    name.scope = 'row';
    if (one.report) {
      const link = element('a', one.name);
      link.href = one.report;
      name.append(link);
    } else {
      name.textContent = one.name;
    }
    line.append(name, thumbnail(one));
    data.columns.forEach((title, n) => {
      const cell = element('td');
      const value = one.reason ? null : one.values[n];
      if (one.outliers.has(n)) cell.append(element('span', number(value), 'far'));
      else cell.textContent = number(value);
      line.append(cell);
    });
    line.append(element('td', one.reason ? `failed: ${one.reason}` : one.warnings, one.reason ? 'words reason' : 'words'));
    return line;
  }

  function draw() {
    start = Math.max(0, Math.min(start, shown.length - 1));
    start -= start % PAGE;
    const end = Math.min(start + PAGE, shown.length);
    get('rows').replaceChildren(...shown.slice(start, end).map(row));
    get('place').textContent = shown.length ? `${start + 1} to ${end} of ${shown.length}` : 'none';
    get('previous').disabled = start === 0;
    get('next').disabled = end === shown.length;
    for (const title of get('titles').children) {
      const own = sorted.column === title.dataset.column;
      title.setAttribute('aria-sort', own ? (sorted.up ? 'ascending' : 'descending') : 'none');
      title.querySelector('.arrow').textContent = own ? (sorted.up ? ' \u2191' : ' \u2193') : '';
    }
  }

  const KEYS = { name: (one) => one.name, words: (one) => one.reason + one.warnings };

  // What is unknown comes last, whichever way it is sorted.
  function compare(a, b) {
    const key = KEYS[sorted.column] || ((one) => (one.reason ? null : one.values[sorted.column]));
    const [first, second] = [key(a), key(b)];
    const missing = (value) => value === null || value === undefined || value === '';
    if (missing(first) || missing(second)) return missing(first) - missing(second) || a.order - b.order;
    const way = typeof first === 'string' ? first.localeCompare(second, undefined, { numeric: true }) : first - second;
    return (sorted.up ? way : -way) || a.order - b.order;
  }

  function choose() {
    const text = get('search').value.toLowerCase();
    shown = cases.filter((one) => FILTERS[get('which').value](one) && one.name.toLowerCase().includes(text));
    if (sorted.column !== null) shown.sort(compare);
    start = 0;
    draw();
  }

  function title(text, column) {
    const cell = element('th');
    cell.scope = 'col';
    cell.dataset.column = column;
    const button = element('button', text);
    button.type = 'button';
    const arrow = element('span', '', 'arrow');
    arrow.setAttribute('aria-hidden', 'true');
    button.append(arrow);
    button.addEventListener('click', () => {
      sorted = { column, up: sorted.column === column ? !sorted.up : true };
      choose();
    });
    cell.append(button);
    return cell;
  }

  get('titles').append(title('case', 'name'), title('picture', 'picture'));
  data.columns.forEach((text, n) => get('titles').append(title(text, String(n))));
  get('titles').append(title('warnings', 'words'));
  const picture = get('titles').children[1];
  picture.replaceChildren('fixed, warped, difference', element('span', '', 'arrow'));
  get('search').addEventListener('input', choose);
  get('which').addEventListener('input', choose);
  get('controls').addEventListener('submit', (event) => event.preventDefault());
  get('previous').addEventListener('click', () => { start -= PAGE; draw(); });
  get('next').addEventListener('click', () => { start += PAGE; draw(); });
  get('controls').hidden = false;
  draw();
  document.documentElement.dataset.ready = 'yes';
})();
