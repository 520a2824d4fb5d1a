# The U-Net baseline of the GraDIRN release on CamCAN brains.
_base_ = [
    '_base_/models/gradirn_unet.py',
    '_base_/datasets/camcan.py',
    '_base_/default_runtime.py',
    '_base_/schedules/gradirn.py',
]

model = dict(ndim=3)
train_dataloader = dict(batch_size=4)
default_hooks = dict(
    checkpoint=dict(interval=10, max_keep_ckpts=3, save_best='reg/dice', rule='greater'),
)
