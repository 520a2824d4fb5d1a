"""Same as `mmreg steps`."""

import sys

from mmreg.cli import door

if __name__ == '__main__':
    sys.exit(door('steps')(None))
