"""`mmreg view`: what the server hands out, to whom, and a crosshair that is one point in every scan."""

import gzip
import hashlib
import http.client
import json
import subprocess
import threading
import time
from urllib.parse import unquote, urlsplit

import nibabel as nib
import numpy as np
import pytest

from mmreg.commands import view as command
from mmreg.errors import DataError
from mmreg.registration.results.scans import scans_of
from mmreg.visualization.page import asset
from mmreg.visualization.viewer import ShownScan, ViewServer, view_html

from .browser import chromium
from .test_report import Page

#: Of ``dist/niivue.umd.js`` in the npm package @niivue/niivue 0.69.0.
NIIVUE = '47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af'


class Asked(ViewServer):
    """A server that also takes the word of a probe in its page."""

    told = None

    def answer(self, path):
        if '/told?' in path:
            self.told = json.loads(unquote(path.partition('?')[2]))
            return 'text/plain', b'', False
        return super().answer(path)


@pytest.fixture
def folder(tmp_path):
    """Two scans on different grids, a label map, a field, and a link out of the folder."""
    place = tmp_path / 'result'
    place.mkdir()
    rng = np.random.default_rng(0)
    for name, shape, step in (('warped', (20, 24, 18), 2.0), ('other', (16, 16, 16), 3.0)):
        affine = np.diag([step, step, step, 1.0])
        affine[:3, 3] = [-20, -24, -18]
        nib.save(nib.Nifti1Image(rng.random(shape, np.float32), affine), place / f'{name}.nii.gz')
    nib.save(nib.Nifti1Image(np.ones((20, 24, 18), np.int16), np.eye(4)), place / 'warped_labels.nii.gz')
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4, 1, 3), np.float32), np.eye(4)), place / 'displacement.nii.gz')
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.float32), np.eye(4)), tmp_path / 'secret.nii.gz')
    (place / 'link.nii.gz').symlink_to(tmp_path / 'secret.nii.gz')
    return place


@pytest.fixture
def serve():
    """Starts servers, and ends them."""
    running = []

    def start(scans, title='result'):
        server = Asked(title, scans)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def ask(server, path, host=None, method='GET'):
    connection = http.client.HTTPConnection('127.0.0.1', server.server_port, timeout=10)
    connection.request(method, path, headers={'Host': host or f'127.0.0.1:{server.server_port}'})
    answer = connection.getresponse()
    found = answer.status, answer.read(), answer
    connection.close()
    return found


def test_scans_of_a_folder(folder):
    scans = scans_of(folder)
    assert [scan.title for scan in scans] == ['warped.nii.gz', 'other.nii.gz', 'warped_labels.nii.gz']
    assert [scan.labels for scan in scans] == [False, False, True]
    assert scans[0].load() == (folder / 'warped.nii.gz').read_bytes()


def test_a_result_brings_the_pair_it_was_made_from(folder, tmp_path):
    nib.save(nib.load(folder / 'warped.nii.gz'), tmp_path / 'f.nii.gz')
    inputs = {'fixed': {'path': str(tmp_path / 'f.nii.gz')}, 'moving': {'path': '/nowhere.nii.gz'}}
    (folder / 'plan.json').write_text(json.dumps({'files': ['plan.json'], 'inputs': inputs}))
    titles = [scan.title for scan in scans_of(folder)]
    assert titles[:2] == ['fixed: f.nii.gz', 'warped.nii.gz'] and not any('moving' in title for title in titles)
    loaded = nib.Nifti1Image.from_bytes(gzip.decompress(scans_of(folder)[0].load()))
    np.testing.assert_allclose(loaded.get_fdata(), nib.load(tmp_path / 'f.nii.gz').get_fdata(), atol=1e-6)
    assert 'fixed: f.nii.gz' not in [scan.title for scan in scans_of(folder, inputs=False)]
    (folder / 'plan.json').write_text(
        json.dumps({'files': ['plan.json'], 'inputs': {'fixed': {'path': '/etc/passwd'}}})
    )
    with pytest.raises(DataError, match='passwd'):
        scans_of(folder)[0].load()


def test_only_what_was_listed_is_handed_out(folder, serve):
    server = serve(scans_of(folder))
    base = urlsplit(server.url).path
    assert ask(server, base)[0] == 200 and ask(server, f'{base}scan/0.nii.gz')[1] == scans_of(folder)[0].load()
    script = ask(server, f'{base}niivue.js')
    assert hashlib.sha256(script[1]).hexdigest() == NIIVUE
    for path in (
        '/', '/etc/passwd', f'{base}../', f'{base}..%2f..%2fetc/passwd', f'{base}scan/99.nii.gz', f'{base}scan/-1.nii',
        f'{base}scan/../plan.json', f'{base}warped.nii.gz', f'{base}link.nii.gz', f'{base}scan/0/..', '/wrong/',
    ):  # fmt: skip
        assert ask(server, path)[0] == 404, path
    assert ask(server, base, method='POST')[0] == 501
    assert ask(server, base, host='evil.example:80')[0] == 403, 'another name for this machine'
    policy = ask(server, base)[2].getheader('Content-Security-Policy')
    assert "default-src 'none'" in policy and 'http' not in policy
    assert server.server_address[0] == '127.0.0.1'


def test_a_scan_that_cannot_be_read_does_not_end_the_server(serve):
    def broken():
        raise DataError('x.nii: found nonsense')

    server = serve([ShownScan('x', broken)])
    base = urlsplit(server.url).path
    assert ask(server, f'{base}scan/0.nii.gz')[0] == 500 and ask(server, base)[0] == 200


def test_hostile_names_stay_text():
    name = '</script><b onmouseover=x>'
    page = Page(view_html(name, [ShownScan(name, bytes)]))
    assert json.loads(page.data)['scans'][0]['title'] == name and name in ' '.join(page.texts)


def test_the_licence_comes_with_the_script():
    assert 'BSD 2-Clause' in asset('NIIVUE_LICENSES.txt')


def test_what_would_be_shown_is_listed(folder, capsys):
    assert command.main([str(folder), '--list']) == 0
    told = capsys.readouterr().out
    assert 'warped.nii.gz' in told and 'yes' in told and 'displacement' not in told


@pytest.mark.parametrize(('argv', 'words'), [(['no_such'], 'no such folder'), (['.', '--port', '99999'], '--port')])
def test_what_cannot_be_shown_is_one_sentence(argv, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.main([*argv, '--no-browser']) == 2
    assert words in ''.join(capsys.readouterr())


PROBE = """
<script>
const problems = [];
window.addEventListener('error', (event) => problems.push(event.message));
window.addEventListener('unhandledrejection', (event) => problems.push(String(event.reason)));
document.addEventListener('securitypolicyviolation', (event) => problems.push('blocked: ' + event.blockedURI));
(async function probe() {
  const state = document.documentElement.dataset.ready;
  if (!state) { setTimeout(probe, 100); return; }
  const out = { state, problems };
  if (state === 'yes') {
    const [first, second] = window.viewers.map((one) => one.niivue);
    first.canvas.focus();
    first.scene.crosshairPos = first.mm2frac([4, -6, 8]);
    first.drawScene();
    first.sync();
    await new Promise((done) => setTimeout(done, 300));
    out.places = [first, second].map((one) => [...one.frac2mm(one.scene.crosshairPos)].slice(0, 3).map(Math.round));
    out.names = window.viewers.map((one) => one.canvas.getAttribute('aria-label'));
    document.getElementById('labels').value = '0';
    document.getElementById('labels').dispatchEvent(new Event('input'));
    for (let round = 0; round < 100; round++) {
      out.layers = window.viewers.map((one) => one.niivue.volumes.length);
      if (out.layers.every((count) => count === 2)) break;
      await new Promise((done) => setTimeout(done, 200));
    }
  }
  await fetch('told?' + encodeURIComponent(JSON.stringify(out)));
})();
</script>
"""


def test_one_crosshair_in_a_browser(folder, serve, tmp_path):
    """WebGL 2 in software, in headless Chromium, where it is installed."""
    browser = chromium()
    server = serve(scans_of(folder))
    server.page = server.page.replace('</body>', f'{PROBE}</body>')
    flags = ['--headless', '--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader']
    flags += ['--ignore-gpu-blocklist', '--remote-debugging-port=0', f'--user-data-dir={tmp_path / "profile"}']
    quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
    with subprocess.Popen([browser, *flags, server.url], **quiet) as process:
        try:
            end = time.monotonic() + 150
            while server.told is None and time.monotonic() < end:
                time.sleep(0.2)
        finally:
            process.terminate()
    assert server.told is not None, 'the page did not get ready'
    if server.told['state'] == 'failed':
        pytest.skip('this Chromium has no WebGL 2')
    assert server.told['problems'] == []
    assert server.told['places'] == [[4, -6, 8], [4, -6, 8]]
    assert server.told['names'] == ['slices of warped.nii.gz', 'slices of other.nii.gz']
    assert server.told['layers'] == [2, 2] and server.told['problems'] == []
