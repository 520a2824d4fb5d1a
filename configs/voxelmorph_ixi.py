# VoxelMorph-2 on IXI, atlas to patient, by the recipe of the TransMorph paper. VoxelMorph-1:
# --cfg-options "model.backbone.features=[[8,32,32,32],[32,32,32,32,32,8,8]]"
_base_ = [
    '_base_/models/voxelmorph_strided.py',
    '_base_/datasets/ixi.py',
    '_base_/schedules/epochs_polynomial.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='VoxelMorph',
    paper='TMI 2019',
    page='methods/voxelmorph',
    published='Dice 0.729 (VoxelMorph-1), folds 1.59 %',
)

optim_wrapper = dict(optimizer=dict(lr=1e-4))
train_cfg = dict(max_epochs=500)

default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=8, save_best='reg/dice', rule='greater'),
)
