# VoxelMorph on abdomen CT-CT with labels, for comparison with eoir_abdomenctct.py: its objective at full resolution,
# its schedule. The authors of VoxelMorph published no recipe for this data set.
_base_ = [
    '_base_/models/voxelmorph.py',
    '_base_/datasets/abdomenctct.py',
    '_base_/schedules/epochs_constant.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='VoxelMorph',
    paper='TMI 2019',
    page='methods/voxelmorph',
    published='Dice 0.471 (EOIR paper)',
)

model = dict(
    label_values=14,
    losses=dict(
        smoothness=dict(penalty='l1', weight=1.0),
        overlap=dict(type='Dice', absent='zero', weight=1.0),
    ),
)

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
