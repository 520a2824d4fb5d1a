"""Pages in headless Chromium, where it is installed: a probe runs in the page and hands back what it saw."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from html import escape, unescape
from pathlib import Path

import pytest

#: axe-core's script, of the npm package of that name, where the machine has it.
AXE = 'MMREG_AXE'

_WATCH = """
<script>
const errors = [];
window.addEventListener('error', (event) => errors.push(event.message));
window.addEventListener('unhandledrejection', (event) => errors.push(String(event.reason)));
document.addEventListener('securitypolicyviolation', (event) => errors.push('blocked: ' + event.blockedURI));
</script>
"""
_PROBE = """
<script>
async function probe() {
  if (document.documentElement.dataset.ready !== 'yes') { setTimeout(probe, 50); return; }
  let out;
  try { out = await (async () => { %s })(); } catch (error) { out = { failed: String(error) }; }
  parent.document.body.dataset.probe = JSON.stringify({ ...out, errors });
}
setTimeout(probe, 0);
</script>
"""


#: A window of Chromium is never narrower than this, pixels; a frame in it is.
NARROW = 500
_FRAME = '<!doctype html><html><body style="margin:0"><iframe style="border:0" width="{0}" height="{1}" srcdoc="{2}">'


def chromium():
    """The browser, or the test is skipped."""
    found = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
    if found is None:
        pytest.skip('Chromium is not installed')
    return found


def command(profile, *more):
    """Headless, with nothing asked of the network."""
    fixed = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run']
    return [chromium(), *fixed, '--disable-dev-shm-usage', f'--user-data-dir={profile}', *more]


def run_page(path, script, extra='', size=(1280, 900)):
    """What ``script``, the body of an async function, returns in the page of a file, with the ``errors`` there were."""
    text = Path(path).read_text(encoding='utf-8').replace('<body>', '<body>' + _WATCH, 1)
    head, mark, tail = text.rpartition('</body>')
    probed = Path(path).with_name(f'probed_{Path(path).name}')
    text = head + extra + _PROBE % script + mark + tail
    if size[0] < NARROW:
        text = _FRAME.format(*size, escape(text)) + '</iframe></body></html>'
    probed.write_text(text, encoding='utf-8')
    with tempfile.TemporaryDirectory() as profile:
        flags = ('--virtual-time-budget=20000', f'--window-size={size[0]},{size[1]}', '--dump-dom')
        done = subprocess.run(
            [*command(profile, *flags), probed.as_uri()], capture_output=True, encoding='utf-8', timeout=120
        )
    probed.unlink()
    found = re.search(r'data-probe="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    return json.loads(unescape(found[1]))


def axe_violations(path, prepare='', size=(1280, 900)):
    """Rule and first element of everything that axe-core finds wrong with a page."""
    script = os.environ.get(AXE)
    if not script:
        pytest.skip(f'{AXE} does not name axe.min.js')
    code = Path(script).read_text(encoding='utf-8').replace('</script', '<\\/script')
    look = f"""{prepare}
      const found = await axe.run(document, {{ resultTypes: ['violations'] }});
      const told = (v) => [v.id, v.nodes[0].html.slice(0, 200), v.nodes[0].failureSummary];
      return {{ violations: found.violations.map(told) }};
    """
    return run_page(path, look, f'<script>{code}</script>', size)
