# TM-DWP on LUMIR: DWP with TransMorph's encoder. Its coarsest level, 1/32, estimates no flow.
_base_ = ['pyramid_dwp_lumir.py']

model = dict(
    backbone=dict(_delete_=True, type='SwinPyramid', width=48, window=[5, 7, 6]),
    flow_head=dict(channels=[16, 32, 64, 96, 128], context=True),
)
