"""Same as `mmreg vis-scheduler`."""

import sys

from mmreg.cli import door

if __name__ == '__main__':
    sys.exit(door('vis-scheduler')(None))
