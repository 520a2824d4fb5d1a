"""MMEngine as far as a registration needs it: without what spreads one network over many GPUs.

The engine's package of models imports sharded training with all of its machinery (symbolic shapes, tensors on several
machines), a second of processor time and 50 MB. A command that trains nothing does not need it.
"""

from __future__ import annotations

import gc
import importlib
import sys
from contextlib import suppress
from types import ModuleType
from typing import Any, NoReturn

#: What the engine's modules import of it.
_SHARDING = (
    'torch.distributed.optim',
    'torch.distributed.fsdp',
    'torch.distributed.fsdp.api',
    'torch.distributed.fsdp.fully_sharded_data_parallel',
)


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
        _load_engine()
        importlib.import_module('mmreg.registration.register')
        importlib.import_module('mmreg.plugins').register_all_modules()
        gc.freeze()
    finally:
        if collecting:
            gc.enable()


def _load_engine() -> None:
    """MMEngine with the stand-ins, which are gone afterwards.

    Whoever imports torch's own modules later gets them. Only the engine's wrappers around them (ZeRO, FSDP) say that
    they were left out.
    """
    stand_ins = {name: _StandIn(name) for name in _SHARDING}
    importlib.import_module('torch.distributed')
    sys.modules.update(stand_ins)
    try:
        # Another engine may do more with them: it is loaded as it is then, when it is needed.
        with suppress(ImportError, AttributeError, TypeError, RuntimeError):
            importlib.import_module('mmengine.runner')
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
