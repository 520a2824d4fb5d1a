"""Writes docs/training_memory.md: python tools/make_memory_table.py

What a training step of one pair needs, counted on the device meta: a config of each method, and those that the page has
already; with --every all configs. Rows of configs that have not changed are kept; --again counts every row again.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmreg.evaluation.analysis.complexity import example_inputs
from mmreg.evaluation.analysis.costs import size_of
from mmreg.evaluation.analysis.training_memory import StepMemory, step_memory
from mmreg.plugins import register_all_modules
from mmreg.registry import REGISTRARS
from mmreg.utils.config import load_config
from mmreg.utils.quiet import quiet
from mmreg.zoo.cards import Card, find_cards
from mmreg.zoo.counts import digest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'training_memory.md'
_MIB, _GIB = 2**20, 2**30
HEAD = """# Memory of a training step

How much memory a training step needs with **one pair** at the size of the data set, for every config of
a method. Counted tensor by tensor on the device `meta`, which has none, by

```
python tools/make_memory_table.py            # --every: all configs
```

*weights*: weights, their gradients and the states of the optimiser. *activations*: the most that images, activations,
losses and the backward pass take at any time; *recomputed*: the same with `model.checkpoint_levels` set to all levels
of the network; *bfloat16*: the same with `--amp`. A step needs the weights and one of the three, and what a library
takes inside a convolution. More pairs per batch multiply the activations. How far a count is from a measured peak
stands in [On a GPU](gpu.md); `mmreg train CONFIG --dry-run` counts with the batch, the crops and the options that a
training has.

*follows its images*: such a model asks for values of its images, which `meta` does not have. *state* tells which
contents of a config were counted.

| config | size | weights, MiB | activations, GiB | recomputed, GiB | bfloat16, GiB | state |
|---|---|---|---|---|---|---|
"""


def trainings(every: bool = False) -> Iterator[tuple[Path, Config]]:
    """Configs that train a network: one of each method and those of the page, or all."""
    had, methods = set(kept()), set()
    for card in sorted(find_cards(), key=_rank):
        if not (every or card.config.stem in had or card.method not in methods):
            continue
        cfg = load_config(card.config)
        if cfg.get('model') and cfg.get('train_dataloader') and cfg.get('optim_wrapper'):
            methods.add(card.method)
            yield card.config, cfg


def _rank(card: Card) -> tuple[int, str]:
    """Of a method the config for whole brains comes first."""
    ends = [card.config.stem.endswith(end) for end in ('_lumir', '_oasis')]
    return (ends.index(True) if any(ends) else len(ends)), card.config.stem


def state_of(path: Path) -> str:
    """Which contents of a config were counted."""
    return digest(path)[:8]


def kept() -> dict[str, str]:
    """Rows of the page as it is, by config."""
    lines = PAGE.read_text(encoding='utf-8').splitlines() if PAGE.is_file() else []
    return {line.split('|')[1].strip(): line for line in lines if line.startswith('| ') and '| config |' not in line}


def row(path: Path, cfg: Config) -> str:
    """One line of the table."""
    model = cfg.model
    size = size_of(cfg, model.get('ndim', 3))
    optimiser = str(cfg.optim_wrapper.get('optimizer', {}).get('type', 'Adam'))
    found = [counted(model, size, optimiser, **ways) for ways in WAYS]
    cells = ['–' if memory is None else f'{memory.activations / _GIB:.2f}' for memory in found]
    plain = found[0]
    weights = (
        'follows its images' if plain is None else f'{(plain.weights + plain.gradients + plain.optimiser) / _MIB:.1f}'
    )
    return f'| {" | ".join([path.stem, "x".join(map(str, size)), weights, *cells, state_of(path)])} |'


#: As it is, with all levels recomputed, in mixed precision.
WAYS: tuple[dict[str, Any], ...] = ({}, {'recompute': True}, {'autocast': torch.bfloat16})


def counted(
    model: Any, size: tuple[int, ...], optimiser: str, recompute: bool = False, autocast: torch.dtype | None = None
) -> StepMemory | None:
    """Memory of a step with one pair; None for a model that asks for values."""
    with quiet(), warnings.catch_warnings(), torch.device('meta'):
        warnings.simplefilter('ignore')
        built = REGISTRARS.build(model).to('meta')
    if recompute:
        levels = built.backbone.spec.levels
        built.backbone.checkpoint_levels = built.flow_head.checkpoint_levels = levels
    inputs = example_inputs(size, built.backbone.spec.image_channels, device='meta')
    if (group := int(getattr(built, 'group', 1))) > 1:
        inputs = {name: value.expand(group, *value.shape[1:]) for name, value in inputs.items()}
    points = {f'{name}_landmarks': torch.zeros(1, 5, len(size), device='meta') for name in ('fixed', 'moving')}
    try:
        return step_memory(built, inputs | points, optimiser, autocast)
    except (NotImplementedError, RuntimeError) as error:
        if 'meta' in str(error).lower() or isinstance(error, NotImplementedError):
            return None
        raise


def main() -> None:
    """Count what is not known, row by row; a run that is stopped keeps what it has."""
    register_all_modules()
    known = {} if '--again' in sys.argv else kept()
    rows: list[str] = []
    paths = list(trainings('--every' in sys.argv))
    for done, (path, cfg) in enumerate(paths, start=1):
        old = known.get(path.stem, '')
        rows.append(old if old.endswith(f'{state_of(path)} |') else row(path, cfg))
        rest = [known[other.stem] for other, _ in paths[done:] if other.stem in known]
        PAGE.write_text(HEAD + '\n'.join(rows + rest) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
