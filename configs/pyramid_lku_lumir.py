# LKU on LUMIR: the half-resolution large-kernel U-Net in place of VXM's.
_base_ = ['pyramid_vxm_lumir.py']

__card__ = dict(
    method='Pyramid designs',
    paper='WBIR 2024, arXiv 2407.19274',
    page='methods/pyramid_designs',
)

model = dict(
    backbone=dict(_delete_=True, type='LKUNet', channels=8, half_resolution=True),
    flow_head=dict(_delete_=True, type='ConvFlowHead'),
    losses=dict(smoothness=dict(on='velocity', levels=[1])),
)
