"""Train the small tissue network of configs/bundles/demo_tissue, which prompts configs/textscf_demo.py.

It sees the training subjects of that config and their labels, one per step.

    python benchmarks/textscf_segmenter.py --iterations 240
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from mmengine.config import Config
from monai.losses import DiceCELoss
from monai.networks.nets import UNet

from mmreg.plugins import register_all_modules
from mmreg.registry import DATASETS
from mmreg.utils.atomic import replacing

CONFIGS = Path(__file__).parent.parent / 'configs'
TARGET = CONFIGS / 'bundles' / 'demo_tissue' / 'models' / 'model.pt'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--iterations', type=int, default=240)
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    register_all_modules()
    cfg = dict(Config.fromfile(CONFIGS / 'textscf_demo.py').train_dataloader.dataset)
    dataset = DATASETS.build({**cfg, 'preprocess': [{'type': 'PercentileWindow', 'low': 0.0, 'high': 99.9}]})
    dataset.full_init()
    train(dataset, options.iterations, options.seed)


def train(dataset, iterations: int, seed: int) -> None:
    """A UNet of 37 thousand weights, Dice and cross-entropy, Adam 3e-3; written in half precision."""
    torch.manual_seed(seed)
    network = UNet(3, 1, 5, channels=(8, 16, 32), strides=(2, 2), num_res_units=1, norm='INSTANCE')
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
    with replacing(TARGET) as temporary:
        torch.save({key: value.half() for key, value in network.state_dict().items()}, temporary)


if __name__ == '__main__':
    main()
