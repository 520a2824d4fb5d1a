"""TextSCF against the same network without its head, on simulated brains with predicted label maps.

``segmenter``: train the small tissue network of configs/bundles/demo_tissue on the training subjects of
configs/textscf_demo.py. ``table``: train with and without the head, several seeds, the same budget, and print the Dice
of unseen pairs (test subjects), and what the trained head makes of other label maps.

    python benchmarks/textscf_demo.py segmenter
    python benchmarks/textscf_demo.py table --seeds 0 1 2 --iterations 200 --out table.json
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import mean, stdev

import torch
from mmengine.config import Config
from monai.losses import DiceCELoss
from monai.networks.nets import UNet

from mmreg.evaluation.functional.overlap import dice
from mmreg.registry import DATASETS, REGISTRARS
from mmreg.spatial import jacobian_determinant, warp_labels
from mmreg.utils.atomic import replacing, write_text
from mmreg.utils.plugins import register_all_modules

ROOT = Path(__file__).parent.parent
BUNDLE = ROOT / 'configs' / 'bundles' / 'demo_tissue'
CLASSES = range(1, 5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('what', choices=['segmenter', 'table'])
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--iterations', type=int, default=200)
    parser.add_argument('--pairs', type=int, default=8, help='test subjects, hence pairs')
    parser.add_argument('--out', help='JSON to write')
    options = parser.parse_args()
    register_all_modules()
    if options.what == 'segmenter':
        train_segmenter(options.iterations)
        return
    rows = [row for seed in options.seeds for row in one_seed(seed, options.iterations, options.pairs)]
    report(rows)
    if options.out:
        write_text(options.out, json.dumps(rows, indent=1))


def subjects(stage: str, preprocess: list | None = None, count: int | None = None):
    """Data set of a stage of the demo config."""
    cfg = Config.fromfile(ROOT / 'configs' / 'textscf_demo.py')[f'{stage}_dataloader']['dataset']
    cfg = {**cfg, 'pairing': 'random' if stage == 'train' else 'next', 'true_fields': False}
    if preprocess is not None:
        cfg['preprocess'] = preprocess
    if count is not None:
        cfg['count'] = count
    dataset = DATASETS.build(cfg)
    dataset.full_init()
    return dataset


def train_segmenter(iterations: int, seed: int = 0) -> None:
    """A UNet of 37 thousand weights, Dice and cross-entropy, one training subject per step."""
    torch.manual_seed(seed)
    dataset = subjects('train', [{'type': 'PercentileWindow', 'low': 0.0, 'high': 99.9}])
    network = UNet(3, 1, 5, channels=(8, 16, 32), strides=(2, 2), num_res_units=1, norm='INSTANCE')
    print(f'{sum(p.numel() for p in network.parameters())} weights')
    loss, optimizer = DiceCELoss(softmax=True, to_onehot_y=True), torch.optim.Adam(network.parameters(), 3e-3)
    for step in range(iterations):
        subject = dataset.volume(step % len(dataset.sources))
        image, labels = (torch.as_tensor(subject[key])[None] for key in ('image', 'labels'))
        value = loss(network(image.float()), labels.float())
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if step % 20 == 0:
            print(f'{step}: {value.item():.3f}', flush=True)
    with replacing(BUNDLE / 'models' / 'model.pt') as temporary:
        torch.save({key: value.half() for key, value in network.state_dict().items()}, temporary)


def batch(dataset, index: int) -> dict[str, torch.Tensor]:
    return {key: value[None] for key, value in dataset[index]['inputs'].items()}


def train(config: str, seed: int, iterations: int):
    """The model of a config after ``iterations`` pairs; pairs depend on the seed only."""
    cfg = Config.fromfile(ROOT / 'configs' / config)
    dataset = TRAIN.setdefault('data', subjects('train'))
    dataset.set_run_seed(seed)
    torch.manual_seed(seed)
    model = REGISTRARS.build(cfg.model).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.optim_wrapper.optimizer.lr)
    order = torch.randperm(iterations, generator=torch.Generator().manual_seed(seed)).tolist()
    for index in order:
        terms = model(batch(dataset, index), mode='loss')
        optimizer.zero_grad()
        sum(value for key, value in terms.items() if key.startswith('loss_')).backward()
        optimizer.step()
    return model.eval()


TRAIN: dict = {}


@torch.no_grad()
def scores(model, pairs: list[dict], prompt: str | None = None) -> dict[str, float]:
    """Mean Dice and share of folded voxels of the pairs, in percent."""
    if prompt is not None:
        model.flow_head.prompt = prompt
    overlaps, folds = [], []
    for inputs in pairs:
        displacement = model(inputs).displacement
        warped = warp_labels(inputs['moving_labels'], displacement)
        overlaps.append(float(dice(warped[0], inputs['fixed_labels'][0], list(CLASSES)).mean()))
        folds.append(float((jacobian_determinant(displacement) <= 0).float().mean()))
    return {'dice': 100 * mean(overlaps), 'folds': 100 * mean(folds)}


def one_seed(seed: int, iterations: int, count: int) -> list[dict]:
    dataset = subjects('test', count=count)
    pairs = [batch(dataset, index) for index in range(len(dataset))]
    before = mean(float(dice(p['moving_labels'][0], p['fixed_labels'][0], list(CLASSES)).mean()) for p in pairs)
    prompts = mean(float(dice(p['fixed_prompt'][0], p['fixed_labels'][0], list(CLASSES)).mean()) for p in pairs)
    rows = [
        {'seed': seed, 'model': 'before registration', 'dice': 100 * before, 'folds': 0.0},
        {'seed': seed, 'model': 'the predicted maps themselves', 'dice': 100 * prompts, 'folds': 0.0},
    ]
    start = time.perf_counter()
    model = train('textscf_demo_without.py', seed, iterations)
    rows.append({'seed': seed, 'model': 'without head', 'seconds': time.perf_counter() - start, **scores(model, pairs)})
    start = time.perf_counter()
    model = train('textscf_demo.py', seed, iterations)
    seconds = time.perf_counter() - start
    for prompt, name in (
        ('fixed_prompt', 'with head, predicted map'),
        ('fixed_labels', 'with head, true map (oracle)'),
        ('propagate', 'with head, propagated labels'),
        ('background', 'with head, no map'),
    ):
        rows.append({'seed': seed, 'model': name, 'seconds': seconds, **scores(model, pairs, prompt)})
    for row in rows:
        print(row, flush=True)
    return rows


def report(rows: list[dict]) -> None:
    """Mean and standard deviation over the seeds."""
    for name in dict.fromkeys(row['model'] for row in rows):
        found = [row for row in rows if row['model'] == name]
        spread = stdev(row['dice'] for row in found) if len(found) > 1 else 0.0
        folds = mean(row['folds'] for row in found)
        print(f'{name:32s} Dice {mean(row["dice"] for row in found):.2f} +- {spread:.2f} %, folds {folds:.3f} %')


if __name__ == '__main__':
    main()
