# VoxelMorph on ACDC, for comparison with eoir_acdc.py: its objective at full resolution, its schedule.
# The authors of VoxelMorph published no recipe for ACDC.
_base_ = [
    '_base_/models/voxelmorph.py',
    '_base_/datasets/acdc.py',
    '_base_/schedules/epochs_constant.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='VoxelMorph',
    paper='TMI 2019',
    page='methods/voxelmorph',
    published='Dice 0.753 (EOIR paper)',
)

model = dict(
    losses=dict(
        similarity=dict(_delete_=True, type='MSE', weight=1.0),
        smoothness=dict(penalty='l1', weight=0.01),
    ),
)

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
