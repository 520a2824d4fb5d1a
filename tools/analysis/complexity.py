"""Same as `mmreg complexity`."""

import sys

from mmreg.cli import door

if __name__ == '__main__':
    sys.exit(door('complexity')(None))
