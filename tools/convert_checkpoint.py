"""Door to `mmreg convert`: a published checkpoint becomes one of ours."""

import sys

from mmreg.commands.convert import main

if __name__ == '__main__':
    sys.exit(main())
