# LKU-Net on OASIS (Learn2Reg 2021, task 3) at full resolution with labels; N=32, MSE + 0.01 smoothness + Dice, all
# ordered pairs of the training subjects, 309,685 steps. Published validation was once per 154,842 pairs.
_base_ = [
    '_base_/models/lkunet.py',
    '_base_/datasets/oasis.py',
    '_base_/schedules/iterations.py',
    '_base_/default_runtime_iterations.py',
]

__card__ = dict(
    method='LKU-Net',
    paper='MLMI 2022',
    page='methods/lkunet',
    published='OASIS validation: Dice 0.886, HD95 1.26, SDlogJ 0.52',
)

model = dict(
    backbone=dict(channels=32),
    label_values=36,
    losses=dict(
        similarity=dict(_delete_=True, type='MSE', weight=1.0),
        smoothness=dict(weight=0.01),
        overlap=dict(type='Dice', squared=True, absent='zero', weight=1.0),
    ),
)
train_dataloader = dict(sampler=dict(type='SeededInfiniteSampler'), dataset=dict(pairing='ordered'))
train_cfg = dict(max_iters=309685, val_interval=10000)

default_hooks = dict(
    checkpoint=dict(interval=10000, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
