"""Analyse deformation fields: smoothness, complexity, jumps across region borders."""

import sys

from mmreg.commands.deformation import main

if __name__ == '__main__':
    sys.exit(main())
