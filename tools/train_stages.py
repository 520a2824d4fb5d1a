"""Same as `mmreg train-stages`."""

import sys

from mmreg.cli import door

if __name__ == '__main__':
    sys.exit(door('train-stages')(None))
