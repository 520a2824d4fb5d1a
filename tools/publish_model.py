"""Same as `mmreg publish-model`."""

import sys

from mmreg.cli import door

if __name__ == '__main__':
    sys.exit(door('publish-model')(None))
