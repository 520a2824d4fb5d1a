"""Put the NiiVue of `mmreg view` into the package: the build of the npm package of that name, compressed.

`python tools/update_niivue.py 0.69.0` asks npm for the package; its licence and those of what it bundles stand in
`mmreg/visualization/report_assets/NIIVUE_LICENSES.txt` and must be looked at again for another version.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

TARGET = Path(__file__).parents[1] / 'mmreg' / 'visualization' / 'report_assets' / 'niivue.js.gz'
BUILD = 'package/dist/niivue.umd.js'


def main(version: str) -> int:
    """Fetch a version, compress its build the same way every time, and write it."""
    with tempfile.TemporaryDirectory() as folder:
        command = ['npm', 'pack', '--silent', f'@niivue/niivue@{version}']
        name = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.split()[-1]
        with tarfile.open(Path(folder) / name) as archive:
            member = archive.extractfile(BUILD)
            assert member is not None
            code = member.read()
    TARGET.write_bytes(gzip.compress(code, 9, mtime=0))
    print(f'{TARGET}: NiiVue {version}, {TARGET.stat().st_size / 1e6:.2f} MB')
    return 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
