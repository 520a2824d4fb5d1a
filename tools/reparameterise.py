"""Door to `mmreg reparameterise`: parallel kernels become one, for inference."""

import sys

from mmreg.commands.reparameterise import main

if __name__ == '__main__':
    sys.exit(main())
