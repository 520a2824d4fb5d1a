"""Score the elastix baseline: `mmreg test spine_elastix`, or on the config that is named first."""

import sys

from mmreg.cli import door

if __name__ == '__main__':
    named = len(sys.argv) > 1 and (not sys.argv[1].startswith('-') or sys.argv[1] in ('-h', '--help'))
    sys.exit(door('test')(sys.argv[1:] if named else ['spine_elastix', *sys.argv[1:]]))
