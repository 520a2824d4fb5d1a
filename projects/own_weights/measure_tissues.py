"""Real pairs in the contrast that a network gives them: makes a table of the docs.

    python projects/own_weights/measure_tissues.py --data DIR [--weights FILE ...] [--pairs NAME ...]

Each image gets one curve from its brightness to what the network says of the tissues, and both are registered as two
scans of one contrast, shortened as by ``--fast``. A line per weights and pair: Dice, folds (%), SDlogJ, wall-clock and
CPU seconds of the displacement, as ``benchmarks/own_weights.py`` measures them; CPU seconds of the network for both
images; the share of its answer that the curves explain, in the worse image.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from types import ModuleType

import torch

from mmreg.io import Volume
from mmreg.plugins import load_plugin, register_all_modules
from mmreg.registration.by_preset import PresetRegistration
from mmreg.registration.files import PairFiles
from mmreg.registration.inputs import read_pair
from mmreg.registry import MODELS
from mmreg.utils.checkpoint import read_checkpoint, weights_of
from mmreg.utils.config import load_config

HERE = Path(__file__).parent
COLUMNS = ('weights', 'pair', 'Dice', 'folds %', 'SDlogJ', 's', 'CPU s', 'network CPU s', 'explained')


def make_view(weights: Path):
    """Shows images through the network with these weights."""
    network = MODELS.build(load_config(HERE / 'tissue_brain_any.py').model)
    network.load_state_dict({key: value.float() for key, value in weights_of(read_checkpoint(weights)).items()})
    package = sys.modules[type(network).__module__.rpartition('.')[0]]
    return package.CommonContrast(network.eval())


def line(benchmark: ModuleType, view, name: str, folder: Path) -> list[float]:
    """The numbers of one pair."""
    pair = benchmark.PAIRS[name]
    scorer = benchmark.Scorer(pair, folder)
    preparation = PresetRegistration('brain_t1', device='cpu').method(scorer.pair).source.preparation
    on = scorer.on(preparation)
    images = on.images(preparation)
    begin = time.process_time()
    seen = [view(images[role], on.grid) for role in ('fixed', 'moving')]
    seconds = time.process_time() - begin
    scorer.pair = read_pair(PairFiles(*(Volume(one.array[0], on.grid) for one in seen)), 'pair')
    pipeline = PresetRegistration('brain_t1', device='cpu', cfg_options={'optimisation.quick': True})
    return [*benchmark.measured(scorer, pipeline), seconds, min(one.explained for one in seen)]


def main() -> None:
    """Print the table."""
    sys.path.insert(0, str(HERE.parents[1] / 'benchmarks'))
    import own_weights as benchmark

    brains = [name for name in benchmark.PAIRS if name.startswith('brain')]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', required=True, type=Path, help='folder with brain_t1_pair')
    parser.add_argument('--weights', nargs='+', type=Path, default=[HERE / 'tissue_brain_any.safetensors'])
    parser.add_argument('--pairs', nargs='+', default=brains, choices=brains, metavar='PAIR')
    parser.add_argument('--threads', type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    register_all_modules()
    load_plugin(HERE / 'tissues')
    print('|', ' | '.join(COLUMNS), '|')
    print('|', ' | '.join('---' for _ in COLUMNS), '|')
    for weights in args.weights:
        view = make_view(weights)
        for name in args.pairs:
            row = line(benchmark, view, name, args.data)
            print('|', ' | '.join((weights.parent.name, name, *(f'{value:.4f}' for value in row))), '|', flush=True)


if __name__ == '__main__':
    main()
