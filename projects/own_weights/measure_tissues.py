"""Real pairs registered by the tissues that a network sees in them: makes the table of the docs.

    python projects/own_weights/measure_tissues.py --data DIR [--weights FILE] [--pairs NAME ...]

A line per pair and preset: both images are replaced by the brightness of their tissues and registered as two scans of
one contrast. Dice, folds (%), SDlogJ, wall-clock and CPU seconds of the displacement, as ``benchmarks/own_weights.py``
measures them; CPU seconds of the network for both images; how sure it is (mean largest share inside the brain).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from types import ModuleType

import torch

from mmreg.io import Volume, read_volume
from mmreg.plugins import load_plugin, register_all_modules
from mmreg.registration.by_preset import PresetRegistration
from mmreg.registration.files import PairFiles
from mmreg.registration.inputs import read_pair
from mmreg.registry import MODELS
from mmreg.utils.checkpoint import read_checkpoint, weights_of
from mmreg.utils.config import load_config

HERE = Path(__file__).parent
#: Brightness of background, fluid, outer grey, white and inner grey matter.
BRIGHTNESS = (0.0, 0.2, 0.55, 1.0, 0.75)
COLUMNS = ('pair', 'way', 'Dice', 'folds %', 'SDlogJ', 's', 'CPU s', 'network CPU s', 'sure')


def make_view(weights: Path):
    """Shows images through the network with these weights."""
    register_all_modules()
    load_plugin(HERE / 'tissues')
    network = MODELS.build(load_config(HERE / 'tissue_brain_any.py').model)
    network.load_state_dict({key: value.float() for key, value in weights_of(read_checkpoint(weights)).items()})
    package = sys.modules[type(network).__module__.rpartition('.')[0]]
    return package.TissueView(network.eval(), BRIGHTNESS)


def lines(benchmark: ModuleType, view, name: str, folder: Path):
    """The lines of one pair: the preset of one contrast as it is, and shortened as by ``--fast``."""
    pair = benchmark.PAIRS[name]
    scorer = benchmark.Scorer(pair, folder)
    fixed, moving = (read_volume(folder / f'{file}.nii.gz') for file in (pair.fixed, pair.moving))
    if pair.contrast is not None:
        moving = Volume(pair.contrast(moving.array), moving.geometry)
    begin = time.process_time()
    seen = [view(volume.channel_first(), volume.geometry) for volume in (fixed, moving)]
    seconds = time.process_time() - begin
    shown = [Volume(image[0], volume.geometry) for (image, _), volume in zip(seen, (fixed, moving))]
    scorer.pair = read_pair(PairFiles(*shown), 'pair')
    for way, quick in (('tissues, --fast', True), ('tissues', False)):
        pipeline = PresetRegistration('brain_t1', device='cpu', cfg_options={'optimisation.quick': quick})
        yield name, way, [*benchmark.measured(scorer, pipeline), seconds, min(sure for _, sure in seen)]


def main() -> None:
    """Print the table."""
    sys.path.insert(0, str(HERE.parents[1] / 'benchmarks'))
    import own_weights as benchmark

    brains = [name for name in benchmark.PAIRS if name.startswith('brain')]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', required=True, type=Path, help='folder with brain_t1_pair')
    parser.add_argument('--weights', type=Path, default=HERE / 'tissue_brain_any.safetensors')
    parser.add_argument('--pairs', nargs='+', default=brains, choices=brains, metavar='PAIR')
    parser.add_argument('--threads', type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    view = make_view(args.weights)
    print('|', ' | '.join(COLUMNS), '|')
    print('|', ' | '.join('---' for _ in COLUMNS), '|')
    for name in args.pairs:
        for pair, way, row in lines(benchmark, view, name, args.data):
            print('|', ' | '.join((pair, way, *(f'{value:.4f}' for value in row))), '|', flush=True)


if __name__ == '__main__':
    main()
