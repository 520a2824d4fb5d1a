# TransMorph-bspl on IXI: control points every 3 voxels, a cubic B-spline velocity at full resolution, integrated.
_base_ = ['transmorph_ixi.py']

__card__ = dict(
    method='TransMorph',
    paper='MedIA 2022',
    page='methods/transmorph',
    published='Dice 0.761, folds < 1e-4 %',
)

model = dict(
    backbone=dict(finest=1, channels=None),
    flow_head=dict(_delete_=True, type='FFDHead', channels=[32, 32], resampling='centres'),
    integrator=dict(_delete_=True, type='BSplineFFD', spacing=3, steps=7),
)
