# TM-DWP on LUMIR: DWP with TransMorph's encoder. Its coarsest level, 1/32, estimates no flow.
_base_ = ['pyramid_dwp_lumir.py']

__card__ = dict(
    method='Pyramid designs',
    paper='WBIR 2024, arXiv 2407.19274',
    page='methods/pyramid_designs',
)

model = dict(
    backbone=dict(_delete_=True, type='SwinPyramid', width=48, window=[5, 7, 6]),
    flow_head=dict(channels=[16, 32, 64, 96, 128], context=True),
)
