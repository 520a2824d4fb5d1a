"""A tiny training run: 2-D pairs with noise drawn in the dataset, a network with dropout. Also loaded by --plugin."""

import os
import random
import time
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import nn

from mmreg.datasets.seeding import decode_index, seeded, stable_seed
from mmreg.registry import DATASETS, HOOKS, METRICS, MODELS
from mmreg.spatial import warp
from mmreg.structures import RegSample

SIZE = 12


@DATASETS.register_module(force=True)
class ToyPairs(BaseDataset):
    """Blobs; every read adds noise from all three global generators and logs it where TOY_LOG says."""

    def __init__(self, size=6, seed=0, poison=None, **kwargs):
        self.size, self.seed, self.poison = size, seed, poison
        super().__init__(lazy_init=False, serialize_data=False, **kwargs)

    def load_data_list(self):
        return [{'case': i} for i in range(self.size)]

    def set_run_seed(self, seed):
        self.seed = seed

    def __getitem__(self, index):
        draw, index = decode_index(index, self.size)
        with seeded(stable_seed(self.seed, draw, index)):
            noise = torch.rand(1, SIZE, SIZE) + random.random() + float(np.random.rand())
        grid = torch.stack(torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing='ij')).float()
        fixed = torch.exp(-((grid - 4 - index % 3) ** 2).sum(0, keepdim=True) / 8)
        moving = torch.exp(-((grid - 5 - index % 2) ** 2).sum(0, keepdim=True) / 8) + 0.1 * noise
        if self.poison == index:
            moving[:] = float('nan')
        if os.environ.get('TOY_LOG'):
            with open(os.environ['TOY_LOG'], 'a') as file:
                file.write(f'{draw} {index} {float(noise.sum()):.9f}\n')
        time.sleep(float(os.environ.get('TOY_SLEEP', 0)))
        sample = RegSample(metainfo={'case_id': f'case{index}', 'shape': (SIZE, SIZE)})
        return {'inputs': {'fixed': fixed, 'moving': moving}, 'data_samples': sample}


@MODELS.register_module(force=True)
class ToyNet(BaseModel):
    """Two convolutions and dropout to a displacement."""

    def __init__(self, channels=4, dropout=0.2, data_preprocessor=None):
        super().__init__(data_preprocessor or {'type': 'mmreg.RegDataPreprocessor'})
        self.backbone = nn.Conv2d(2, channels, 3, padding=1, bias=False)  # the norm removes any bias
        self.norm = nn.InstanceNorm2d(channels)
        self.head = nn.Sequential(nn.LeakyReLU(0.2), nn.Dropout(dropout), nn.Conv2d(channels, 2, 3, padding=1))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        fixed, moving = inputs['fixed'], inputs['moving']
        displacement = self.head(self.norm(self.backbone(torch.cat([fixed, moving], 1)))).float()
        if mode == 'tensor':
            return displacement
        warped = warp(moving, displacement)
        if mode == 'loss':
            return {
                'similarity_loss': (warped - fixed).square().mean(),
                'smoothness_loss': 0.01 * displacement.square().mean(),
            }
        for n, sample in enumerate(data_samples):
            sample.pred = RegSample(displacement=displacement[n], warped=warped[n])
            sample.fixed, sample.moving = fixed[n], moving[n]
        return data_samples


@METRICS.register_module(force=True)
class ToyError(BaseMetric):
    """Mean squared difference after registration."""

    default_prefix = 'toy'
    runs = 0

    def __init__(self, fail_at=None, failure='crash', **kwargs):
        super().__init__(**kwargs)
        self.fail_at, self.failure = fail_at, failure

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            pred = sample['pred']
            self.results.append(float((pred['warped'] - sample['fixed']).square().mean()))

    def compute_metrics(self, results):
        self.runs += 1
        if self.runs == self.fail_at and self.failure == 'interrupt':
            raise KeyboardInterrupt
        if self.runs == self.fail_at:
            raise RuntimeError('crash in validation')
        return {'error': sum(results) / len(results), 'count': float(len(results))}


@HOOKS.register_module(force=True)
class DisturbHook(Hook):
    """Raises or sends this process a signal after an iteration."""

    priority = 'VERY_HIGH'

    def __init__(self, at, signal=None):
        self.at, self.signal = at, signal

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.at:
            if self.signal is None:
                raise RuntimeError('crash on purpose')
            os.kill(os.getpid(), self.signal)


CONFIG = """
default_scope = 'mmreg'
model = dict(type='ToyNet', dropout={dropout})
train_dataloader = dict(
    batch_size={batch},
    num_workers={workers},
    persistent_workers={workers} > 0,
    dataset=dict(type='ToyPairs', size=6),
    sampler=dict(type='{sampler}', shuffle=True),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    dataset=dict(type='ToyPairs', size=2),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ToyError')
test_evaluator = val_evaluator
train_cfg = {train_cfg}
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=0.01))
param_scheduler = [dict(type='PolynomialRounded', by_epoch={by_epoch}, power=0.9)]
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(
        type='SafeCheckpointHook', interval={interval}, by_epoch={save_by_epoch}, max_keep_ckpts={keep},
        save_best='toy/error', rule='less',
    ),
    mean_loss=dict(type='MeanLossHook'),
    iter_seed=dict(type='IterSeedHook'),
    invalid_loss=dict(type='CheckInvalidLossHook'),
    graceful_stop=dict(type='GracefulStopHook'),
)
log_processor = dict(type='LogProcessor', by_epoch={by_epoch})
randomness = dict(seed=3)
auto_scale_lr = dict(enable=False, base_batch_size=2)
"""


def write_config(
    folder, *, loop='epoch', workers=0, length=4, interval=1, keep=2, save_by_epoch=None, batch=2, dropout=0.2, extra=''
):
    """A config file of a toy run with ``length`` epochs (of three iterations) or iterations."""
    by_epoch = loop == 'epoch'
    save_by_epoch = by_epoch if save_by_epoch is None else save_by_epoch
    train_cfg = (
        f"dict(type='ResumableEpochLoop', max_epochs={length}, val_interval=1)"
        if by_epoch
        else f"dict(type='ResumableIterLoop', max_iters={length}, val_interval=4)"
    )
    text = CONFIG.format(
        workers=workers,
        sampler='SeededEpochSampler' if by_epoch else 'SeededInfiniteSampler',
        train_cfg=train_cfg,
        by_epoch=by_epoch,
        save_by_epoch=save_by_epoch,
        batch=batch,
        dropout=dropout,
        interval=interval,
        keep=keep,
    )
    path = Path(folder) / 'toy_config.py'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + extra)
    return path
