# EOIR on abdomen CT-CT (Learn2Reg 2020, task 3), with labels; smaller windows at coarser levels.
_base_ = [
    '_base_/models/eoir.py',
    '_base_/datasets/abdomenctct.py',
    '_base_/schedules/epochs_constant.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='EOIR',
    paper='arXiv 2509.00451',
    page='methods/eoir',
    published='Dice 0.606, HD95 17.6, SDlogJ 0.17',
)

levels = [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]
model = dict(
    label_values=14,
    losses=dict(
        similarity=dict(_delete_=True, type='LNCC', weight=1.0, levels=levels, per_level=dict(window=[9, 5, 3, 3, 3])),
        smoothness=dict(penalty='l1', weight=1.0),
        # absent='zero': a class in neither volume counts as no overlap, as in the published training.
        overlap=dict(type='Dice', absent='zero', weight=1.0, levels=levels),
    ),
)

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
