'use strict';
(function () {
  const data = JSON.parse(document.getElementById('data').textContent);
  const get = (id) => document.getElementById(id);
  const VIEWS = {
    neurological: "Neurological view: the patient's right is on the right of the picture.",
    radiological: "Radiological view: the patient's left is on the right of the picture.",
  };
  const LETTER = 14; // pixels of the screen
  const rgb = (colour) => `rgb(${colour.join(',')})`;
  const AMOUNTS = { checkerboard: 'tiles', blend: 'share of the other', curtain: 'position', flicker: 'speed' };
  const RESOLUTION = 440; // pixels of the longer side of a panel
  let flickerOn = false;

  // ---- pictures -------------------------------------------------------------------------------------------------

  const load = (url) => new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error('a picture of the report is damaged'));
    image.src = url;
  });

  const blank = (width, height) => {
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    return canvas;
  };

  // A picture whose grey values become colours: paint(grey) returns [red, green, blue, alpha].
  function recoloured(image, paint) {
    const canvas = blank(image.width, image.height);
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    for (let n = 0; n < pixels.data.length; n += 4) {
      const colour = paint(pixels.data[n]);
      for (let c = 0; c < 4; c++) pixels.data[n + c] = colour[c];
    }
    context.putImageData(pixels, 0, 0);
    return canvas;
  }

  function decodePoints(text) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return new Int16Array(bytes.buffer);
  }

  // ---- drawing --------------------------------------------------------------------------------------------------

  // Slices lie with the patient's right on the right; the other view mirrors those that show both sides.
  const mirrored = (plane) => get('view').value === 'radiological' && plane.edges[1] === 'R';

  function slice(plane, source, context, smooth) {
    const [width, height] = plane.size;
    context.imageSmoothingEnabled = smooth;
    context.save();
    if (mirrored(plane)) {
      context.translate(context.canvas.width, 0);
      context.scale(-1, 1);
    }
    context.drawImage(source, 0, plane.at * height, width, height, 0, 0, context.canvas.width, context.canvas.height);
    context.restore();
  }

  function clear(context) {
    context.globalAlpha = 1;
    context.globalCompositeOperation = 'source-over';
    context.fillStyle = '#000';
    context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  }

  function outlines(plane, context, names) {
    if (!get('show-outlines').checked || !plane.outlines) return;
    for (const name of names) if (plane.outlines[name]) slice(plane, plane.outlines[name], context, false);
  }

  function letters(plane, context) {
    const { width, height } = context.canvas;
    const [first, second, lower, upper] = plane.edges;
    const [left, right] = mirrored(plane) ? [second, first] : [first, second];
    const size = LETTER * Math.max(1, width / (context.canvas.clientWidth || width));
    context.font = `600 ${size}px system-ui, sans-serif`;
    context.textBaseline = 'middle';
    context.lineWidth = size / 5;
    for (const [text, x, y, align] of [
      [left, 5, height / 2, 'left'], [right, width - 5, height / 2, 'right'],
      [lower, width / 2, height - 0.65 * size, 'center'], [upper, width / 2, 0.7 * size, 'center'],
    ]) {
      context.textAlign = align;
      context.strokeStyle = '#000';
      context.strokeText(text, x, y);
      context.fillStyle = '#ffd866';
      context.fillText(text, x, y);
    }
  }

  function drawImage(plane, panel) {
    clear(panel.context);
    slice(plane, plane.sources[panel.key], panel.context, true);
    outlines(plane, panel.context, panel.key === 'fixed' ? ['fixed'] : ['fixed', panel.key]);
    letters(plane, panel.context);
  }

  function drawJacobian(plane, panel) {
    clear(panel.context);
    slice(plane, plane.sources.jacobian, panel.context, false);
    letters(plane, panel.context);
  }

  function drawGrid(plane, panel) {
    const { context } = panel;
    const { columns, rows, every, unit } = plane.grid;
    const { width, height } = context.canvas;
    const base = plane.at * rows * columns * 2;
    clear(context);
    const turned = mirrored(plane);
    const x = (row, column) => {
      const place = plane.points[base + 2 * (row * columns + column)] / unit * width / plane.voxels[0];
      return turned ? width - place : place;
    };
    const y = (row, column) => plane.points[base + 2 * (row * columns + column) + 1] / unit * height / plane.voxels[1];
    context.globalAlpha = 0.45;
    slice(plane, plane.sources.fixed, context, true);
    context.globalAlpha = 1;
    context.strokeStyle = '#58b7ff';
    context.lineWidth = 1.2;
    context.beginPath();
    for (let row = 0; row < rows; row += every) {
      for (let column = 0; column < columns; column++) {
        if (column) context.lineTo(x(row, column), y(row, column)); else context.moveTo(x(row, column), y(row, column));
      }
    }
    for (let column = 0; column < columns; column += every) {
      for (let row = 0; row < rows; row++) {
        if (row) context.lineTo(x(row, column), y(row, column)); else context.moveTo(x(row, column), y(row, column));
      }
    }
    context.stroke();
    letters(plane, context);
  }

  function tinted(plane, source, colour, size) {
    const canvas = blank(size.width, size.height);
    const context = canvas.getContext('2d');
    slice(plane, source, context, true);
    context.globalCompositeOperation = 'multiply';
    context.fillStyle = colour;
    context.fillRect(0, 0, canvas.width, canvas.height);
    return canvas;
  }

  function checkerboard(context, count, draw) {
    const { width, height } = context.canvas;
    const side = Math.max(width, height) / count;
    context.save();
    context.beginPath();
    for (let row = 0; row * side < height; row++) {
      for (let column = 0; column * side < width; column++) {
        if ((row + column) % 2) context.rect(column * side, row * side, side, side);
      }
    }
    context.clip();
    draw();
    context.restore();
  }

  function drawComparison(plane, panel) {
    const { context } = panel;
    const { width, height } = context.canvas;
    const fixed = plane.sources.fixed;
    const other = plane.sources[get('other').value];
    const mode = get('mode').value;
    const amount = Number(get('amount').value) / 100;
    clear(context);
    slice(plane, fixed, context, true);
    if (mode === 'checkerboard') {
      checkerboard(context, Math.round(2 + 22 * amount), () => slice(plane, other, context, true));
    } else if (mode === 'blend') {
      context.globalAlpha = amount;
      slice(plane, other, context, true);
    } else if (mode === 'curtain') {
      context.save();
      context.beginPath();
      context.rect(width * amount, 0, width, height);
      context.clip();
      slice(plane, other, context, true);
      context.restore();
    } else if (mode === 'flicker') {
      if (flickerOn) slice(plane, other, context, true);
    } else if (mode === 'difference') {
      context.globalCompositeOperation = 'difference';
      slice(plane, other, context, true);
    } else {
      context.drawImage(tinted(plane, fixed, rgb(data.colours.overlay[0]), context.canvas), 0, 0);
      context.globalCompositeOperation = 'lighter';
      context.drawImage(tinted(plane, other, rgb(data.colours.overlay[1]), context.canvas), 0, 0);
    }
    context.globalAlpha = 1;
    context.globalCompositeOperation = 'source-over';
    outlines(plane, context, ['fixed', get('other').value]);
    letters(plane, context);
  }

  // ---- page -----------------------------------------------------------------------------------------------------

  function addPanel(plane, holder, key, name, draw) {
    const figure = document.createElement('figure');
    const scale = RESOLUTION / Math.max(...plane.mm);
    const canvas = blank(Math.max(1, Math.round(plane.mm[0] * scale)), Math.max(1, Math.round(plane.mm[1] * scale)));
    canvas.setAttribute('role', 'img');
    const caption = document.createElement('figcaption');
    caption.textContent = name;
    figure.append(canvas, caption);
    holder.append(figure);
    plane.panels.push({ key, name, draw, canvas, caption, context: canvas.getContext('2d') });
  }

  function drawPlane(plane) {
    const place = plane.of > 1 ? `slice ${plane.slices[plane.at] + 1} of ${plane.of}` : '';
    const folds = plane.folds[plane.at];
    plane.output.textContent = place + (folds ? `, ${folds} folded voxels` : '');
    for (const panel of plane.panels) {
      panel.draw(plane, panel);
      panel.canvas.setAttribute('aria-label', `${panel.name}, ${plane.name} ${place}`.trim());
    }
  }

  function comparisonChanged() {
    const mode = get('mode').value;
    get('amount-label').style.visibility = AMOUNTS[mode] ? 'visible' : 'hidden';
    get('amount-name').textContent = AMOUNTS[mode] || '';
    const other = get('other').selectedOptions[0].textContent;
    for (const plane of data.planes) {
      for (const panel of plane.panels) {
        if (panel.key !== 'comparison') continue;
        panel.name = `fixed and ${other}: ${mode}`;
        panel.caption.textContent = panel.name;
      }
      drawPlane(plane);
    }
  }

  function addPlane(plane, number) {
    const section = document.createElement('div');
    section.className = 'plane';
    const bar = document.createElement('div');
    bar.className = 'bar';
    const title = document.createElement('h3');
    title.textContent = plane.name;
    const label = document.createElement('label');
    const slider = document.createElement('input');
    slider.type = 'range';
    slider.id = `slice-${number}`;
    slider.min = 0;
    slider.max = plane.slices.length - 1;
    slider.value = plane.at;
    slider.setAttribute('aria-label', `${plane.name}: position of the slice`);
    plane.output = document.createElement('output');
    label.append(slider, plane.output);
    if (plane.slices.length === 1) slider.hidden = true;
    bar.append(title, label);
    const holder = document.createElement('div');
    holder.className = 'panels';
    section.append(bar, holder);
    get('planes').append(section);
    for (const { key, name } of data.images) if (key !== 'aligned') addPanel(plane, holder, key, name, drawImage);
    addPanel(plane, holder, 'comparison', 'comparison', drawComparison);
    addPanel(plane, holder, 'grid', 'deformed grid', drawGrid);
    addPanel(plane, holder, 'jacobian', 'Jacobian determinant', drawJacobian);
    slider.addEventListener('input', () => { plane.at = Number(slider.value); drawPlane(plane); });
    holder.addEventListener('wheel', (event) => turn(event, plane, slider), { passive: false });
  }

  // The wheel over a picture goes through its slices; at the last one the page scrolls on.
  function turn(event, plane, slider) {
    const next = plane.at + Math.sign(event.deltaY);
    if (event.ctrlKey || !event.deltaY || event.target.tagName !== 'CANVAS' || next < 0 || next >= plane.slices.length) return;
    event.preventDefault();
    plane.at = next;
    slider.value = next;
    drawPlane(plane);
  }

  function viewChanged() {
    get('orientation').textContent = data.view ? VIEWS[get('view').value] : '';
    data.planes.forEach(drawPlane);
  }

  async function prepare(plane) {
    plane.at = Math.floor(plane.slices.length / 2);
    plane.panels = [];
    plane.sources = {};
    for (const { key } of data.images) plane.sources[key] = await load(plane.pictures[key]);
    const colours = data.jacobian.colours;
    plane.sources.jacobian = recoloured(await load(plane.jacobian), (grey) => [...colours[grey], 255]);
    plane.points = decodePoints(plane.grid.data);
    if (!plane.outline) return;
    const bits = await load(plane.outline);
    plane.outlines = {};
    data.outlines.forEach((name, n) => {
      const colour = data.colours.outlines[name === 'fixed' ? 0 : 1];
      plane.outlines[name] = recoloured(bits, (grey) => [...colour, (grey >> n) & 1 ? 255 : 0]);
    });
  }

  function drawLegend() {
    const context = get('scale').getContext('2d');
    data.jacobian.colours.slice(1).forEach(([red, green, blue], n) => {
      context.fillStyle = `rgb(${red},${green},${blue})`;
      context.fillRect(n, 0, 1, 14);
    });
    const [low, , high] = data.jacobian.ticks;
    get('low').textContent = low;
    get('high').textContent = high;
    get('fold-key').style.background = rgb(data.colours.fold);
    for (const swatch of document.querySelectorAll('[data-outline]')) {
      swatch.style.background = rgb(data.colours.outlines[swatch.dataset.outline]);
    }
    get('legend').hidden = false;
  }

  function flicker() {
    flickerOn = !flickerOn;
    if (get('mode').value === 'flicker') {
      for (const plane of data.planes) {
        for (const panel of plane.panels) if (panel.key === 'comparison') panel.draw(plane, panel);
      }
    }
    setTimeout(flicker, 1500 - 13 * Number(get('amount').value));
  }

  async function start() {
    await Promise.all(data.planes.map(prepare));
    for (const { key, name } of [...data.images].sort((a, b) => (b.key === 'warped') - (a.key === 'warped'))) {
      if (key !== 'fixed') get('other').add(new Option(name, key));
    }
    data.planes.forEach(addPlane);
    get('show-outlines').closest('label').hidden = !data.outlines.length;
    get('show-outlines').addEventListener('input', () => { get('outline-key').hidden = !get('show-outlines').checked; });
    get('view-label').hidden = !data.view;
    if (data.view) get('view').value = data.view;
    get('view').addEventListener('input', viewChanged);
    window.addEventListener('resize', () => data.planes.forEach(drawPlane));
    for (const id of ['other', 'mode', 'amount', 'show-outlines']) get(id).addEventListener('input', comparisonChanged);
    const sized = () => get('planes').style.setProperty('--panel', `${get('zoom').value}px`);
    get('zoom').addEventListener('input', () => {
      sized();
      data.planes.forEach(drawPlane);
    });
    const room = get('planes').clientWidth;
    if (room < 416) get('zoom').value = Math.floor((room - 8) / 2); // two beside each other on a phone
    sized();
    drawLegend();
    comparisonChanged();
    viewChanged();
    get('controls').hidden = false;
    document.documentElement.dataset.ready = 'yes';
    flicker();
  }

  start();
})();
