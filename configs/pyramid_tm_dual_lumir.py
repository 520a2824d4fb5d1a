# TM-Dual on LUMIR: TransMorph with one encoder pass per image; its decoder ends at half resolution.
_base_ = ['pyramid_dual_lumir.py']

__card__ = dict(
    method='Pyramid designs',
    paper='WBIR 2024, arXiv 2407.19274',
    page='methods/pyramid_designs',
)

model = dict(
    backbone=dict(_delete_=True, type='SwinPyramid', width=48, window=[5, 7, 6]),
    flow_head=dict(
        channels=[16, 96, 192, 384, None],
        convs=2,
        upsample='centres',
        remaining=[],
        bias=False,
        act_cfg=dict(negative_slope=0.01, type='LeakyReLU'),
    ),
)
