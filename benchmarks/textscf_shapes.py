"""TextSCF against the same network without its head, on 2-D synthetic bodies with predicted label maps.

Per seed: the registration networks are trained on the same pairs in the same order, with the same losses, once with a
plain convolution and once with the text-driven head. The label maps that the head sees are predicted by a small UNet,
trained once on the training subjects. Scores are those of unseen pairs: subjects that neither network has seen.

    python benchmarks/textscf_shapes.py --seeds 0 1 2 --iterations 400 --out table.json
"""

from __future__ import annotations

import argparse
import json
import time
from statistics import mean, stdev

import numpy as np
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from torch import Tensor, nn

from mmreg.datasets import SyntheticShapes
from mmreg.evaluation.functional.overlap import dice
from mmreg.plugins import register_all_modules
from mmreg.registry import REGISTRARS
from mmreg.spatial import jacobian_determinant, warp_labels
from mmreg.utils.atomic import write_text

SIZE, REGIONS = (64, 64), 6
VARIATION = dict(knots_mm=(24.0, 12.0), amplitude_mm=(4.0, 2.0))
LABELS = {k: f'region {k}' for k in range(1, REGIONS + 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--iterations', type=int, default=400)
    parser.add_argument('--subjects', type=int, default=40, help='training subjects')
    parser.add_argument('--pairs', type=int, default=40, help='test subjects, hence unseen pairs')
    parser.add_argument('--lr', type=float, default=2e-3)
    parser.add_argument('--out', help='JSON to write')
    options = parser.parse_args()
    register_all_modules()
    train, test = load(0, options.subjects), load(1000, options.pairs)
    segmenter = train_segmenter(train)
    predict(segmenter, train)
    predict(segmenter, test)
    pairs = {key: value.roll(-1, 0) for key, value in test.items()}
    batch = as_pairs(test, pairs)
    rows = [row for seed in options.seeds for row in one_seed(seed, options, train, batch)]
    report(rows)
    if options.out:
        write_text(options.out, json.dumps(rows, indent=1))


def load(first: int, count: int) -> dict[str, Tensor]:
    """Images and labels of the subjects, ``(count, 1, *SIZE)``."""
    dataset = SyntheticShapes(size=SIZE, labels=REGIONS, first=first, count=count, pairing='next', variation=VARIATION)
    dataset.full_init()
    subjects = [dataset.volume(k) for k in range(count)]
    images, labels = (
        torch.stack([torch.as_tensor(np.asarray(s[key])) for s in subjects]) for key in ('image', 'labels')
    )
    return {'image': images.float(), 'labels': labels.long()}


def train_segmenter(data: dict[str, Tensor], iterations: int = 150) -> nn.Module:
    torch.manual_seed(0)
    network = UNet(2, 1, REGIONS + 1, channels=(8, 16, 32), strides=(2, 2), num_res_units=1)
    loss, optimizer = DiceCELoss(softmax=True, to_onehot_y=True), torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(iterations):
        chosen = torch.randint(0, len(data['image']), (4,))
        value = loss(network(data['image'][chosen]), data['labels'][chosen].float())
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return network.eval()


@torch.no_grad()
def predict(network: nn.Module, data: dict[str, Tensor]) -> None:
    data['prompt'] = network(data['image']).argmax(1, keepdim=True)


def as_pairs(fixed: dict[str, Tensor], moving: dict[str, Tensor]) -> dict[str, Tensor]:
    pair = {'fixed': fixed['image'], 'moving': moving['image'], 'fixed_prompt': fixed['prompt']}
    return pair | {'fixed_labels': fixed['labels'], 'moving_labels': moving['labels']}


def model_config(head: bool) -> dict:
    convolution = {'type': 'ConvFlowHead', 'resampling': 'centres'}
    embedding = {'type': 'HashTextEmbedding', 'dim': 768}
    text = {'type': 'TextSCFHead', 'label_set': {'labels': LABELS}, 'text_embedding': embedding, 'hidden_dim': 64}
    return {
        'type': 'Registrar',
        'ndim': 2,
        'backbone': {'type': 'LKUNet', 'channels': 8, 'kernel': 5, 'half_resolution': True},
        'flow_head': text if head else convolution,
        'losses': {
            'similarity': {'type': 'MSE', 'weight': 1.0},
            'overlap': {'type': 'Dice', 'squared': True, 'weight': 1.0},
            'smoothness': {'type': 'Diffusion', 'penalty': 'l2', 'weight': 0.1},
        },
        'label_values': REGIONS + 1,
    }


def train(head: bool, seed: int, options: argparse.Namespace, data: dict[str, Tensor]) -> nn.Module:
    """A trained model; pairs and their order depend on the seed only."""
    torch.manual_seed(seed)
    model = REGISTRARS.build(model_config(head)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr, amsgrad=True)
    order = torch.Generator().manual_seed(seed)
    for _ in range(options.iterations):
        chosen = torch.randint(0, len(data['image']), (2, 4), generator=order)
        fixed, moving = ({key: value[one] for key, value in data.items()} for one in chosen)
        terms = model(as_pairs(fixed, moving), mode='loss')
        optimizer.zero_grad()
        sum(value for key, value in terms.items() if key.startswith('loss_')).backward()
        optimizer.step()
    return model.eval()


def overlap(a: Tensor, b: Tensor) -> float:
    """Mean Dice of the regions over the pairs, percent; a region in neither image is left out."""
    values = [dice(x, y, list(LABELS)) for x, y in zip(a, b)]
    return 100 * float(torch.stack([torch.as_tensor(value) for value in values]).nanmean())


@torch.no_grad()
def scores(model: nn.Module, batch: dict[str, Tensor], prompt: str | None = None) -> dict[str, float]:
    if prompt is not None:
        model.flow_head.prompt = prompt
    displacement = model(batch).displacement
    warped = warp_labels(batch['moving_labels'], displacement)
    folds = float((jacobian_determinant(displacement) <= 0).float().mean())
    return {'dice': overlap(warped, batch['fixed_labels']), 'folds': 100 * folds}


def one_seed(seed: int, options: argparse.Namespace, data: dict[str, Tensor], batch: dict[str, Tensor]) -> list[dict]:
    truth = batch['fixed_labels']
    rows = [
        {'model': 'before registration', 'dice': overlap(batch['moving_labels'], truth), 'folds': 0.0},
        {'model': 'the predicted maps themselves', 'dice': overlap(batch['fixed_prompt'], truth), 'folds': 0.0},
    ]
    start = time.perf_counter()
    rows.append({'model': 'without head', **scores(train(False, seed, options, data), batch)})
    model = train(True, seed, options, data)
    for prompt, name in (
        ('fixed_prompt', 'with head, predicted map'),
        ('fixed_labels', 'with head, true map (oracle)'),
        ('propagate', 'with head, propagated labels'),
        ('background', 'with head, no map'),
    ):
        rows.append({'model': name, **scores(model, batch, prompt)})
    for row in rows:
        row |= {'seed': seed, 'seconds': time.perf_counter() - start}
        print(row, flush=True)
    return rows


def report(rows: list[dict]) -> None:
    """Mean and standard deviation over the seeds."""
    for name in dict.fromkeys(row['model'] for row in rows):
        found = [row for row in rows if row['model'] == name]
        values = [row['dice'] for row in found]
        spread = stdev(values) if len(values) > 1 else 0.0
        print(
            f'{name:32s} Dice {mean(values):.2f} +- {spread:.2f} %, folds {mean(row["folds"] for row in found):.3f} %'
        )


if __name__ == '__main__':
    main()
