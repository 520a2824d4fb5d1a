# The U-Net baseline of the GraDIRN release on M&Ms, slice by slice.
_base_ = [
    '_base_/models/gradirn_unet.py',
    '_base_/datasets/cine_mms.py',
    '_base_/default_runtime.py',
    '_base_/schedules/gradirn_slices.py',
]

train_dataloader = dict(batch_size=10)
default_hooks = dict(
    checkpoint=dict(interval=100, max_keep_ckpts=3, save_best='reg/dice', rule='greater'),
)
