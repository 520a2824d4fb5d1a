"""Score the elastix baseline: `mmreg test` on configs/spine_elastix.py, or on the config that is named first."""

import sys
from pathlib import Path

from mmreg.cli import door

CONFIG = Path(__file__).resolve().parents[1] / 'configs' / 'spine_elastix.py'

if __name__ == '__main__':
    named = len(sys.argv) > 1 and (not sys.argv[1].startswith('-') or sys.argv[1] in ('-h', '--help'))
    sys.exit(door('test')(sys.argv[1:] if named else [str(CONFIG), *sys.argv[1:]]))
