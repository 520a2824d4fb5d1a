# TransMorph-Large on IXI: 108 million parameters.
_base_ = ['transmorph_ixi.py']

__card__ = dict(
    method='TransMorph',
    paper='MedIA 2022',
    page='methods/transmorph',
)

model = dict(backbone=dict(width=128, depths=[2, 2, 12, 2], heads=[4, 4, 8, 16]))
