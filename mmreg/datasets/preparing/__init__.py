"""From what a data set's own site ships to the folder that its configs read."""

from .cine import prepare_acdc, prepare_mms, prepare_mms2

#: Name of a data set -> function of (source folder, new folder, tracker) that returns how many subjects were written.
PREPARATIONS = {'ACDC': prepare_acdc, 'MMs': prepare_mms, 'MMs2': prepare_mms2}

__all__ = ['PREPARATIONS', 'prepare_acdc', 'prepare_mms', 'prepare_mms2']
