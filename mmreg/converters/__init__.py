"""Published checkpoints -> ours, one module per family, each with a ``FAMILY``."""

from mmreg.utils.discovery import import_submodules

from .base import Family
from .containers import extract_weights

#: Families by name: every module of this package that has one.
FAMILIES: dict[str, Family] = {
    module.FAMILY.name: module.FAMILY
    for module in import_submodules(__name__, __path__, skip=('files',))
    if hasattr(module, 'FAMILY')
}

__all__ = ['FAMILIES', 'Family', 'extract_weights']
