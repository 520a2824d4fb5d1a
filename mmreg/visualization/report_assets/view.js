'use strict';
(function () {
  const data = JSON.parse(document.getElementById('data').textContent);
  const get = (id) => document.getElementById(id);
  const images = data.scans.filter((scan) => !scan.labels);
  const maps = data.scans.filter((scan) => scan.labels);
  const viewers = [];
  const absolute = (scan) => new URL(scan.url, document.baseURI).href;

  // One after the other: a scan that is being read must not be drawn with another's settings.
  let turn = Promise.resolve();
  function load(viewer) {
    turn = turn.then(() => loadNow(viewer)).catch(failed);
    return turn;
  }

  async function loadNow(viewer) {
    const chosen = images[viewer.select.value];
    const volumes = [{ url: absolute(chosen), name: 'scan.nii.gz', colormap: 'gray' }];
    const map = get('labels').value;
    if (map !== '') {
      const opacity = Number(get('opacity').value) / 100;
      volumes.push({ url: absolute(maps[map]), name: 'labels.nii.gz', colormap: 'random', opacity });
    }
    viewer.canvas.setAttribute('aria-label', `slices of ${chosen.title}`);
    await viewer.niivue.loadVolumes(volumes);
    viewer.niivue.volumes.slice(1).forEach((volume) => { volume.interpolation = false; });
    apply();
  }

  function apply() {
    for (const { niivue: one } of viewers) {
      one.setSliceType(Number(get('planes').value));
      one.setRadiologicalConvention(get('view').value === 'yes');
      if (one.volumes.length > 1) one.setOpacity(1, Number(get('opacity').value) / 100);
    }
  }

  async function add(start) {
    const figure = document.createElement('figure');
    const label = document.createElement('label');
    const select = document.createElement('select');
    images.forEach((scan, n) => select.add(new Option(scan.title, n)));
    select.value = start;
    label.append('scan ', select);
    const canvas = document.createElement('canvas');
    canvas.setAttribute('role', 'img');
    canvas.tabIndex = 0; // the scan that has the focus leads the others
    const holder = document.createElement('div');
    holder.className = 'holder';
    holder.append(canvas);
    figure.append(label, holder);
    get('scans').append(figure);
    const one = new niivue.Niivue({
      show3Dcrosshair: true, isCornerOrientationText: true, loadingText: 'loading', logLevel: 'error',
      crosshairColor: [1, 0.69, 0, 1], crosshairWidth: 1, crosshairWidthUnit: 'mm', isColorbar: false,
      fontColor: [1, 0.85, 0.4, 1], fontMinPx: 14, dragAndDropEnabled: false,
      onLocationChange: (where) => { get('place').textContent = `crosshair (mm and values): ${where.string}`; },
    });
    await one.attachToCanvas(canvas);
    const viewer = { niivue: one, canvas, select };
    viewers.push(viewer);
    select.addEventListener('input', () => load(viewer));
    await load(viewer);
  }

  async function start() {
    maps.forEach((scan, n) => get('labels').add(new Option(scan.title, n)));
    for (const id of ['labels-label', 'opacity-label']) get(id).hidden = !maps.length;
    for (let n = 0; n < Math.min(3, images.length); n++) await add(n);
    viewers.forEach(({ niivue: one }) => {
      one.broadcastTo(viewers.filter((other) => other.niivue !== one).map((other) => other.niivue), { '2d': true, '3d': true });
    });
    for (const id of ['planes', 'view', 'opacity']) get(id).addEventListener('input', apply);
    get('labels').addEventListener('input', () => { for (const viewer of viewers) load(viewer); });
    get('controls').addEventListener('submit', (event) => event.preventDefault());
    window.viewers = viewers;
    document.documentElement.dataset.ready ||= 'yes';
  }

  function failed(error) {
    get('place').textContent = `The scans cannot be shown: ${error.message || error}. This page needs WebGL 2.`;
    document.documentElement.dataset.ready = 'failed';
  }

  start().catch(failed);
})();
