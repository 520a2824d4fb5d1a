"""Same as `mmreg analyze-logs`."""

import sys

from mmreg.cli import door

if __name__ == '__main__':
    sys.exit(door('analyze-logs')(None))
