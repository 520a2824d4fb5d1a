# TransMorph-Tiny on IXI: 0.24 million parameters.
_base_ = ['transmorph_ixi.py']

__card__ = dict(
    method='TransMorph',
    paper='MedIA 2022',
    page='methods/transmorph',
)

model = dict(backbone=dict(width=6, heads=[2, 2, 4, 4]))
