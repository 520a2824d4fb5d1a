"""Parameters, multiply-adds, memory and time of the models of all configs, or of the given ones."""

import sys

from mmreg.commands.complexity import main

if __name__ == '__main__':
    sys.exit(main())
