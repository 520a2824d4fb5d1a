"""Same as `mmreg train`."""

import sys

from mmreg.cli import door

if __name__ == '__main__':
    sys.exit(door('train')(None))
