"""Label sets, prompts and text embeddings: numpy only, no network, no torch. Every module registers its parts."""

from mmreg.utils.discovery import import_submodules

from .label_set import LabelSet, get_label_set, phrase
from .table import TextTable, TextUnavailable

import_submodules(__name__, __path__)

__all__ = ['LabelSet', 'TextTable', 'TextUnavailable', 'get_label_set', 'phrase']
