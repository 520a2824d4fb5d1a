"""Same as `mmreg compare`."""

import sys

from mmreg.cli import door

if __name__ == '__main__':
    sys.exit(door('compare')(None))
