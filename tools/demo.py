"""Same as `mmreg demo`."""

import sys

from mmreg.cli import door

if __name__ == '__main__':
    sys.exit(door('demo')(None))
