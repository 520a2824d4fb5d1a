# TransMorph-TVF on OASIS with labels.
_base_ = [
    '_base_/models/transmorph_tvf.py',
    '_base_/datasets/oasis.py',
    '_base_/schedules/transmorph.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='TransMorph',
    paper='MedIA 2022',
    page='methods/transmorph',
    published='OASIS validation: Dice 0.869, HD95 1.40, SDlogJ 0.094',
)

model = dict(
    label_values=36,
    losses=dict(overlap=dict(type='Dice', squared=True, absent='zero', weight=1.0)),
)

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
