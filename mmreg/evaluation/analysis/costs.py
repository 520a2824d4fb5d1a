"""What the models of configs cost, a line each: parameters, multiply-adds, memory, time; and the table of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmreg.errors import ConfigError
from mmreg.io.atomic import write_text
from mmreg.io.tables import write_json, write_table
from mmreg.registry import DATASETS, REGISTRARS
from mmreg.utils import console
from mmreg.utils.config import load_config, merge_options
from mmreg.utils.quiet import quiet

from . import complexity

#: Grids of public data sets as their configs hand them to a network.
SIZES = {
    'OASISDataset': (160, 192, 224),
    'LUMIRDataset': (160, 224, 192),
    'IXIDataset': (160, 192, 224),
    'AbdomenCTCTDataset': (96, 80, 128),
    'ACDCDataset': (128, 128, 16),
    'CamCANDataset': (128, 128, 128),
    'CineDataset': (160, 160),
    'ACDCCineDataset': (160, 160),
    'MMsDataset': (160, 160),
    'SimulatedBrainDataset': (80, 96, 80),
}
#: The same for data sets of a general kind, by their folder.
FOLDER_SIZES = {'NLST': (224, 192, 224)}
#: Where nothing says which grid.
DEFAULT_SIZES = {2: (192, 192), 3: (160, 192, 224)}
_LOADERS = ('test_dataloader', 'val_dataloader', 'train_dataloader')
HEADER = ('config', 'size', 'parameters', 'multiply-adds', 'activations', 'peak', 'forward', 'training', 'remark')


@dataclass(frozen=True)
class Question:
    """How the costs are found.

    Attributes:
        size: Voxels per axis; those of the data set by default.
        batch: Pairs per batch.
        repeats: Timed runs after one that does not count.
        device: Where the model runs.
        meta: Count only, without memory and time.
        cfg_options: Changes of config keys.
        debug: Let every error through.
    """

    size: Sequence[int] | None = None
    batch: int = 1
    repeats: int = 3
    device: str = 'cpu'
    meta: bool = False
    cfg_options: Mapping[str, Any] = field(default_factory=dict)
    debug: bool = False


@dataclass(frozen=True)
class CostLine:
    """One config of the table; what could not be found is None, ``reason`` says why."""

    config: str
    size: tuple[int, ...] | None = None
    parameters: int | None = None
    trained: int | None = None
    multiply_adds: int | None = None
    activation_bytes: int | None = None
    peak_bytes: int | None = None
    forward_seconds: float | None = None
    training_seconds: float | None = None
    reason: str = ''


def line_of(path: Path, ask: Question) -> CostLine:
    """The line of one config; whatever goes wrong with it is its ``reason``."""
    found: dict[str, Any] = {}
    try:
        with quiet():
            for values in _findings(path, ask):
                found |= values
    except Exception as error:  # one config must not end the table
        if ask.debug:
            raise
        found['reason'] = reason_of(error)
    return CostLine(path.stem, **found)


def _findings(path: Path, ask: Question) -> Iterator[dict[str, Any]]:
    """What is known about a config, step by step."""
    cfg = load_config(path)
    merge_options(cfg, ask.cfg_options)
    if cfg.get('model') is None:
        raise ConfigError(f'{path} has no key model, expected the config of a registration method.')
    with torch.device('meta'):
        model = REGISTRARS.build(cfg.model).to('meta')
    size = tuple(ask.size or size_of(cfg, model.ndim))
    if len(size) != model.ndim:
        raise ConfigError(f'--size has {len(size)} numbers, expected {model.ndim}, the axes of the model.')
    parameters = list(model.parameters())
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    yield {'size': size, 'parameters': sum(p.numel() for p in parameters), 'trained': trained}
    shape = {'size': size, 'channels': model.backbone.spec.image_channels, 'batch': ask.batch}
    counted = _counted(model, complexity.example_inputs(**shape, device='meta'))
    if counted is not None:
        yield asdict(counted)
    elif ask.meta:
        raise ConfigError(f'{path.name}: the model follows the values of its images: leave --meta out.')
    if ask.meta:
        return
    model = REGISTRARS.build(cfg.model).to(ask.device)
    inputs = complexity.example_inputs(**shape, device=ask.device)
    if counted is None:
        yield asdict(complexity.count(model, inputs))
    times = complexity.measure(model, inputs, ask.repeats)
    yield {
        'forward_seconds': times.forward,
        'training_seconds': times.training,
        'peak_bytes': times.peak_bytes,
    }


def _counted(model: Any, inputs: dict[str, Any]) -> complexity.Counts | None:
    """Counts without memory; None for a model whose work depends on the values of the images."""
    try:
        return complexity.count(model, inputs)
    except NotImplementedError:
        return None


def size_of(cfg: Config, ndim: int) -> tuple[int, ...]:
    """The grid that a config's network sees: of its data set, or a crop of its pipeline, or a usual one."""
    datasets = [cfg[name].dataset for name in _LOADERS if cfg.get(name)]
    for dataset in datasets:
        kind = DATASETS.get(dataset.type)
        own = inspect.signature(kind).parameters.get('size') if kind else None
        known = SIZES.get(dataset.type) or FOLDER_SIZES.get(Path(str(dataset.get('data_root'))).name)
        for size in (dataset.get('size'), known, own and own.default, *_crops(dataset)):
            if isinstance(size, Sequence) and len([n for n in size if n]) == ndim:
                return tuple(int(n) for n in size if n)
    return DEFAULT_SIZES[ndim]


def _crops(config: Any) -> Iterator[Any]:
    """``size`` of all transforms inside the config of a data set, the last ones first."""
    children: list[Any] = []
    if isinstance(config, Mapping):
        if 'size' in config:
            yield config['size']
        children = list(config.values())
    elif isinstance(config, (list, tuple)):
        children = list(config)
    for child in reversed(children):
        yield from _crops(child)


def reason_of(error: Exception) -> str:
    """One line for what ended the analysis of a config."""
    known = console.sentence(error)
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), 'no details')
    return known or f'{type(error).__name__}: {first[:160]}'


def cells(line: CostLine) -> tuple[str, ...]:
    """The line as text with units."""
    return (
        line.config,
        'x'.join(map(str, line.size)) if line.size else '-',
        _unit(line.parameters, 1e6, 'M'),
        _unit(line.multiply_adds, 1e9, 'G'),
        _unit(line.activation_bytes, 2**30, 'GiB'),
        _unit(line.peak_bytes, 2**30, 'GiB'),
        _unit(line.forward_seconds, 1, 's'),
        _unit(line.training_seconds, 1, 's'),
        line.reason,
    )


def _unit(value: float | None, scale: float, name: str) -> str:
    return '-' if value is None else f'{value / scale:.4g} {name}'


def _write_csv(path: Path, lines: Sequence[CostLine]) -> None:
    records = [asdict(line) | {'size': 'x'.join(map(str, line.size or ()))} for line in lines]
    write_table(path, list(CostLine.__dataclass_fields__), records)


def _write_json(path: Path, lines: Sequence[CostLine]) -> None:
    write_json(path, {'torch': torch.__version__, 'configs': [asdict(line) for line in lines]})


def _write_markdown(path: Path, lines: Sequence[CostLine]) -> None:
    rows = [HEADER, ('---',) * len(HEADER), *map(cells, lines)]
    write_text(path, ''.join(f'| {" | ".join(cell.replace("|", "/") for cell in row)} |\n' for row in rows))


def _write_figure(path: Path, lines: Sequence[CostLine]) -> None:
    from .figures import dots, save

    known = [line for line in lines if line.parameters is not None]
    if not known:
        return
    panels: dict[str, list[float | None]] = {
        'parameters [M]': [_over(line.parameters, 1e6) for line in known],
        'multiply-adds [G]': [_over(line.multiply_adds, 1e9) for line in known],
        'activations [GiB]': [_over(line.activation_bytes, 2**30) for line in known],
        'forward [s]': [_over(line.forward_seconds, 1) for line in known],
    }
    measured = {title: values for title, values in panels.items() if any(value is not None for value in values)}
    save(dots([line.config for line in known], measured), path)


def _over(value: float | None, scale: float) -> float | None:
    return None if value is None else value / scale


WRITERS = {'.csv': _write_csv, '.json': _write_json, '.md': _write_markdown, '.png': _write_figure}
