"""MMEngine as far as a registration needs it: without what spreads one network over many GPUs.

The engine's package of models imports sharded training with all of its machinery (symbolic shapes, tensors on several
machines), a second of processor time and 50 MB. A command that trains nothing does not need it.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any, NoReturn

#: What the engine's modules import of it.
_SHARDING = (
    'torch.distributed.optim',
    'torch.distributed.fsdp',
    'torch.distributed.fsdp.api',
    'torch.distributed.fsdp.fully_sharded_data_parallel',
)
#: What libraries import and a registration seldom asks for anything: a twentieth of its processor time, 30 MB.
_SELDOM = ('numpy.f2py', 'pydicom')


def _refuse(self: object, *args: object, **kwargs: object) -> NoReturn:
    raise RuntimeError(
        f'{type(self).__name__} was left out, since this process began with a registration; train in another one.'
    )


class _StandIn(ModuleType):
    """A module in which every class is there, and none can be made."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):
            raise AttributeError(name)
        return type(name, (), {'__init__': _refuse})


class _Later(_StandIn):
    """The same until it is gone; then the module itself is imported when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__') or sys.modules.get(self.__name__) is self:
            return super().__getattr__(name)
        return getattr(importlib.import_module(self.__name__), name)


def import_what_registers() -> None:
    """Import what registers, with stand-ins for sharded training, unless the engine is loaded; for commands alone.

    What is imported stays until the process ends, so that nothing of it is looked through for garbage, neither now nor
    later: that costs as much as a tenth of a registration.
    """
    if any(name in sys.modules for name in (*_SHARDING, 'mmengine.model')):
        return
    collecting = gc.isenabled()
    gc.disable()
    try:
        importlib.import_module('torch.distributed')
        # Another engine may do more with them: it is loaded as it is then, when it is needed.
        refused = suppress(ImportError, AttributeError, TypeError, RuntimeError)
        with _standing_in({name: _StandIn(name) for name in _SHARDING}), refused:
            importlib.import_module('mmengine.runner')
        with _standing_in({name: _Later(name) for name in _SELDOM if name not in sys.modules}):
            importlib.import_module('nibabel.nifti1')
            importlib.import_module('mmreg.registration.register')
            importlib.import_module('mmreg.plugins').register_all_modules()
        gc.freeze()
    finally:
        if collecting:
            gc.enable()


@contextmanager
def _standing_in(modules: Mapping[str, ModuleType]) -> Iterator[None]:
    """Inside the block, these are imported in place of those of their names, and are gone afterwards.

    Whoever imports the modules themselves later gets them. What was imported in the block keeps the stand-ins.
    """
    splits = {name: name.rpartition('.') for name in modules}
    bound = {name: (sys.modules[parent], child) for name, (parent, _, child) in splits.items() if parent in sys.modules}
    sys.modules.update(modules)
    for name, (parent, child) in bound.items():
        setattr(parent, child, modules[name])
    try:
        yield
    finally:
        for name, module in modules.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
        for name, (parent, child) in bound.items():
            if vars(parent).get(child) is modules[name]:
                delattr(parent, child)
