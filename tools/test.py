"""Same as `mmreg test`."""

import sys

from mmreg.cli import door

if __name__ == '__main__':
    sys.exit(door('test')(None))
