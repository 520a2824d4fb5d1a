"""Images -> features. Every module of this package is imported and registers its parts."""

from mmreg.utils.discovery import import_submodules

import_submodules(__name__, __path__)
