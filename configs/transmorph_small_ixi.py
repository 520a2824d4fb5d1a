# TransMorph-Small on IXI: 11.8 million parameters.
_base_ = ['transmorph_ixi.py']

__card__ = dict(
    method='TransMorph',
    paper='MedIA 2022',
    page='methods/transmorph',
)

model = dict(backbone=dict(width=48, heads=[4, 4, 4, 4]))
