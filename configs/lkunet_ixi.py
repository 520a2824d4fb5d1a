# LKU-Net on IXI, atlas to patient, displacement model; LNCC 9 + 5 * smoothness, 1000 epochs of 403 subjects.
# N=8; the paper also has N=4 and N=16: --cfg-options model.backbone.channels=4
_base_ = [
    '_base_/models/lkunet.py',
    '_base_/datasets/ixi.py',
    '_base_/schedules/epochs_constant.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='LKU-Net',
    paper='MLMI 2022',
    page='methods/lkunet',
    published='Dice 0.758 (N=4), 0.765 (N=8)',
)

optim_wrapper = dict(optimizer=dict(amsgrad=False))
train_cfg = dict(max_epochs=1000)

default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
