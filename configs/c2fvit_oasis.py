# C2FViT on OASIS, random pairs, unsupervised: Adam 1e-4, 160,001 steps. Published on the 256^3 volumes; here on the
# 160x192x224 crops of the Learn2Reg task, which are aligned already: whole volumes: PairListDataset.
_base_ = [
    '_base_/models/c2fvit.py',
    '_base_/datasets/oasis.py',
    '_base_/schedules/iterations.py',
    '_base_/default_runtime_iterations.py',
]

__card__ = dict(
    method='C2FViT',
    paper='CVPR 2022',
    page='methods/c2fvit',
    published='affine, validation: Dice 0.560 (0.293 before)',
)

train_dataloader = dict(sampler=dict(type='SeededInfiniteSampler'))
train_cfg = dict(max_iters=160001, val_interval=5000)

default_hooks = dict(
    checkpoint=dict(interval=5000, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
