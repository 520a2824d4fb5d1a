# Less-DWP on LUMIR: LessNet with the motion pyramid; 200 epochs of 250 pairs.
_base_ = ['pyramid_dwp_lumir.py']

__card__ = dict(
    method='Pyramid designs',
    paper='WBIR 2024, arXiv 2407.19274',
    page='methods/pyramid_designs',
)

model = dict(
    backbone=dict(_delete_=True, type='PoolingPyramid'),
    flow_head=dict(channels=[48, 64, 96, 128], convs=2),
)
train_cfg = dict(max_iters=50000)
