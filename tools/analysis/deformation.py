"""Analyse deformation fields: smoothness, complexity, jumps across region borders."""

import sys

from mmreg.evaluation.analysis.deformation_cli import main

if __name__ == '__main__':
    sys.exit(main())
