# TransMorph on abdomen CT-CT with labels, for comparison with eoir_abdomenctct.py: its objective at full resolution,
# its schedule. The authors of TransMorph published no recipe for this data set.
_base_ = [
    '_base_/models/transmorph.py',
    '_base_/datasets/abdomenctct.py',
    '_base_/schedules/epochs_constant.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='TransMorph',
    paper='MedIA 2022',
    page='methods/transmorph',
)

model = dict(
    backbone=dict(window=[3, 3, 4]),
    label_values=14,
    losses=dict(
        smoothness=dict(penalty='l1', weight=1.0),
        overlap=dict(type='Dice', absent='zero', weight=1.0),
    ),
)

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
