# TransMorph-Small on IXI: 11.8 million parameters.
_base_ = ['transmorph_ixi.py']

model = dict(backbone=dict(width=48, heads=[4, 4, 4, 4]))
