"""The model: parts joined, trained and run."""

from mmreg.utils.discovery import import_submodules

import_submodules(__name__, __path__)
