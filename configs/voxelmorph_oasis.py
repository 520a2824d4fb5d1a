# VoxelMorph on OASIS, unsupervised, by the authors' recipe: random pairs, MSE, lambda 0.01, 1500 times 100 steps.
_base_ = [
    '_base_/models/voxelmorph.py',
    '_base_/datasets/oasis.py',
    '_base_/schedules/iterations.py',
    '_base_/default_runtime_iterations.py',
]

__card__ = dict(
    method='VoxelMorph',
    paper='TMI 2019',
    page='methods/voxelmorph',
    published='OASIS validation (63 M parameters): Dice 0.847, HD95 1.55, SDlogJ 0.133',
)

model = dict(
    losses=dict(
        similarity=dict(_delete_=True, type='MSE', weight=1.0),
        smoothness=dict(weight=0.02),
    ),
)
train_dataloader = dict(sampler=dict(type='SeededInfiniteSampler'))
train_cfg = dict(max_iters=150000, val_interval=5000)

default_hooks = dict(
    checkpoint=dict(interval=5000, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
