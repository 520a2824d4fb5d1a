"""Samples per second of LUMIR's training loader at 160x224x192, as `mmreg train` builds it: decoded anew, and cached.

    python benchmarks/loader.py [--scans 4] [--samples 12] [--workers 2] [--size 160 224 192]

Scans are made (smooth textures in a head's outline, compressed as the challenge's). *cold*: every scan is decoded from
its file; *memory* and *disk*: ``dataset.cache`` of the config, measured once what is asked for is there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.runner import Runner
from scipy import ndimage

from mmreg.io import Geometry, Volume, write_volume
from mmreg.plugins import register_all_modules
from mmreg.utils.config import load_config, merge_options
from mmreg.utils.quiet import quiet
from mmreg.utils.shipped import config_folder


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--scans', type=int, default=4)
    parser.add_argument('--samples', type=int, default=12)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--size', type=int, nargs=3, default=[160, 224, 192])
    options = parser.parse_args()
    register_all_modules()
    with tempfile.TemporaryDirectory() as folder:
        megabytes = make(Path(folder) / 'LUMIR', options.scans, options.size)
        size = ' x '.join(map(str, options.size))
        print(f'{options.scans} scans of {size}, {megabytes:.1f} MB each as a file, {options.workers} workers')
        print(f'{"cache":10}{"samples/s":>12}{"s/sample":>12}')
        for title, cache in (('cold', None), ('memory', {'type': 'memory', 'eager': True}), ('disk', {'type': 'disk'})):
            if title == 'disk':
                cache = {'type': 'disk', 'folder': str(Path(folder) / 'decoded')}
            rate = measured(Path(folder) / 'LUMIR', cache, options.samples, options.workers)
            print(f'{title:10}{rate:12.2f}{1 / rate:12.2f}', flush=True)


def make(root: Path, scans: int, size: list[int]) -> float:
    """Training scans and the challenge's JSON; megabytes of a file."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in size], indexing='ij'))
    inside = np.square(grid / 0.85).sum(0) < 1
    names, total = [], 0
    for number in range(scans):
        texture = ndimage.zoom(rng.random([n // 4 for n in size], dtype=np.float32), 4, order=1)
        image = (inside * (200 * texture + rng.normal(0, 5, size).astype(np.float32))).clip(0, 255)
        names.append(f'./imagesTr/LUMIRMRI_{number:04d}_0000.nii.gz')
        path = root / names[-1]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(path, Volume(image.astype(np.float32), Geometry(tuple(size), np.eye(4))))
        total += path.stat().st_size
    content = {'name': 'LUMIR', 'tensorImageShape': {'0': size}, 'numTraining': scans, 'numValidation': 0}
    content |= {'training': [{'image': name} for name in names], 'validation': []}
    (root / 'LUMIR_dataset.json').write_text(json.dumps(content))
    return total / scans / 1e6


def measured(root: Path, cache: dict[str, Any] | None, samples: int, workers: int) -> float:
    """Pairs per second after the first, which workers start with; a disk cache is filled before."""
    cfg = load_config(config_folder() / 'eoir_lumir.py')
    options = {'data_root': str(root), 'cache': cache, 'sanity_labels': None}
    merge_options(cfg, {f'train_dataloader.dataset.{key}': value for key, value in options.items()})
    merge_options(
        cfg, {'train_dataloader.num_workers': workers, 'train_dataloader.pin_memory': torch.cuda.is_available()}
    )
    with quiet():
        loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    if cache is not None:
        for _ in loader:
            pass
    batches = iter(loader)
    next(batches)
    start, count = time.perf_counter(), 0
    while count < samples:
        for batch in islice(batches, samples - count):
            count += len(batch['inputs']['fixed'])
        batches = iter(loader)
    return count / (time.perf_counter() - start)


if __name__ == '__main__':
    main()
