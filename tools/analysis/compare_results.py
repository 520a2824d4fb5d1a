"""Compare any number of result tables of `mmreg test`, `mmreg infer --pairs` or `mmreg evaluate --csv`."""

import sys

from mmreg.commands.compare import main

if __name__ == '__main__':
    sys.exit(main())
