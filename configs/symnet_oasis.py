# SYMNet on OASIS by the authors' recipe: random pairs, 150,001 steps. Published on the neurite edition, centre-cropped
# to 160x144x192 and scaled to 0..1, with 255 subjects.
_base_ = [
    '_base_/models/symnet.py',
    '_base_/datasets/oasis.py',
    '_base_/schedules/iterations.py',
    '_base_/default_runtime_iterations.py',
]

__card__ = dict(
    method='SYMNet',
    paper='CVPR 2020',
    page='methods/symnet',
    published='validation, five subjects onto one: Dice 0.807',
)

train_dataloader = dict(sampler=dict(type='SeededInfiniteSampler'), dataset=dict(pairing='ordered'))
train_cfg = dict(max_iters=150001, val_interval=5000)

default_hooks = dict(
    checkpoint=dict(interval=5000, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
