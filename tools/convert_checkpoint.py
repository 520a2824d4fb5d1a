"""Door to `mmreg convert`: a published checkpoint becomes one of ours."""

import sys

from mmreg.converters.cli import main

if __name__ == '__main__':
    sys.exit(main())
