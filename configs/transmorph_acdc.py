# TransMorph on ACDC, for comparison with eoir_acdc.py: its objective at full resolution, its schedule. The authors of
# TransMorph published no recipe for ACDC. 16 slices are padded to 32.
_base_ = [
    '_base_/models/transmorph.py',
    '_base_/datasets/acdc.py',
    '_base_/schedules/epochs_constant.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='TransMorph',
    paper='MedIA 2022',
    page='methods/transmorph',
    published='Dice 0.750 (EOIR paper)',
)

model = dict(
    backbone=dict(window=[4, 4, 2]),
    losses=dict(
        similarity=dict(_delete_=True, type='MSE', weight=1.0),
        smoothness=dict(penalty='l1', weight=0.01),
    ),
)

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
