"""Same as `mmreg browse-dataset`."""

import sys

from mmreg.cli import door

if __name__ == '__main__':
    sys.exit(door('browse-dataset')(None))
