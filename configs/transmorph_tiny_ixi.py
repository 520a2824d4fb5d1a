# TransMorph-Tiny on IXI: 0.24 million parameters.
_base_ = ['transmorph_ixi.py']

model = dict(backbone=dict(width=6, heads=[2, 2, 4, 4]))
