# The spine network with one decoder level more: velocity at full resolution (published full-resolution network).
_base_ = ['spine.py']

model = dict(
    backbone=dict(decoder=dict(out_channels=[64, 64, 64, 64])),
    flow_head=dict(int_downsize=1),
    losses=dict(smoothness=dict(weight=0.01)),  # loss_mult 1
)
