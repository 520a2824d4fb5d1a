"""What makes up for the age of MMEngine 0.10: imported once, before anything is built.

Each measure is harmless where the installed engine no longer needs it, so the code also runs on forks of the engine.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.config import Config
from mmengine.config import utils as config_utils
from mmengine.registry import registry as engine_registry
from mmengine.runner.checkpoint import CheckpointLoader

from mmreg.errors import CheckpointError

from .checkpoint import read_checkpoint

# `pkg::config.py` and model names resolve through a fixed table of packages.
getattr(config_utils, 'MODULE2PACKAGE', {}).setdefault('mmreg', 'mmreg')

# Remarks of torch about how the engine uses it: nothing a user can act on.
warnings.filterwarnings('ignore', message=r'.*torch\.jit', category=DeprecationWarning)
warnings.filterwarnings('ignore', message='.*TorchScript', category=DeprecationWarning)
warnings.filterwarnings('ignore', message="'maxsplit' is passed", category=DeprecationWarning)
warnings.filterwarnings('ignore', message='.*broadcast_buffers', category=FutureWarning)
warnings.filterwarnings('ignore', message=r'.*scheduler\.step\(\). before', category=UserWarning)
warnings.filterwarnings('ignore', message='.*use of fork.* may lead to deadlocks', category=DeprecationWarning)


_found_in_module = engine_registry.get_object_from_string


def part_from_string(name: str) -> Any:
    """What an import path names; a single word is none, although the engine would import a module of that name."""
    return _found_in_module(name) if '.' in name.strip('.') else None


engine_registry.get_object_from_string = part_from_string


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local(filename: str, map_location: Any = None) -> dict[str, Any]:
    """The engine's door to :func:`read_checkpoint` (the engine cuts ``load_from_`` off the name when it logs)."""
    return read_checkpoint(filename, map_location)


@CheckpointLoader.register_scheme(prefixes=('http://', 'https://'), force=True)
def load_from_http(filename: str, map_location: Any = None, **_: Any) -> dict[str, Any]:
    """Download into torch's folder of checkpoints, once, and read the file like any other."""
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    target = folder / Path(urlparse(filename).path).name
    if not target.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(filename, str(target), progress=False)
        except (OSError, ValueError) as error:
            raise CheckpointError(f'{filename} cannot be downloaded ({error}).') from error
    return read_checkpoint(target, map_location)


_ELSEWHERE = (
    'modelzoo://', 'torchvision://', 'open-mmlab://', 'openmmlab://', 'mmcls://', 'pavi://', 'modelcloud://',
    r'(\S+\:)?s3://', r'(\S+\:)?petrel://',
)  # fmt: skip


@CheckpointLoader.register_scheme(prefixes=_ELSEWHERE, force=True)
def load_from_elsewhere(filename: str, map_location: Any = None, **_: Any) -> dict[str, Any]:
    """Addresses whose readers would unpickle what they find."""
    raise CheckpointError(f'{filename} is an address, expected a file or http(s).')


def init_cpu_processes(cfg: Config) -> None:
    """Join the gloo group of a launcher on a machine without accelerator, where the engine would set a CUDA device.

    Call before the Runner is built with a launcher; does nothing on machines with CUDA or in a group that exists.
    """
    import torch.distributed as dist

    if torch.cuda.is_available() or dist.is_initialized():
        return
    _environment_of(cfg.get('launcher', 'pytorch'))
    dist.init_process_group(backend='gloo')
    wrapper = cfg.get('model_wrapper_cfg') or dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    wrapper['device_ids'] = None
    cfg.model_wrapper_cfg = wrapper


def _environment_of(launcher: str) -> None:
    """Translate what SLURM and MPI say about ranks into what torch reads."""
    names = {
        'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
        'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
    }.get(launcher)
    if names is None:
        return
    for ours, theirs in zip(('RANK', 'WORLD_SIZE', 'LOCAL_RANK'), names):
        if theirs in os.environ:
            os.environ.setdefault(ours, os.environ[theirs])
    os.environ.setdefault('MASTER_PORT', '29500')
    os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
