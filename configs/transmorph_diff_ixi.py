# TransMorph-diff on IXI: a Gaussian velocity at half resolution, integrated; MSE / sigma^2 with sigma 0.01, and the
# divergence from a smooth prior. The published model integrates without dividing by 2^7 and keeps half-resolution
# voxels as full ones (docs/methods/transmorph.md); this one does neither.
_base_ = ['transmorph_ixi.py']

__card__ = dict(
    method='TransMorph',
    paper='MedIA 2022',
    page='methods/transmorph',
    published='Dice 0.594, folds < 1e-4 %',
)

model = dict(
    backbone=dict(finest=1),
    flow_head=dict(type='GaussianFlowHead', int_downsize=2, resampling='centres'),
    integrator=dict(_delete_=True, type='ScalingSquaring', steps=7),
    losses=dict(
        _delete_=True,
        similarity=dict(type='MSE', weight=1e4),
        divergence=dict(type='GaussianKL', precision=10.0, on='mean', weight=1.0),
    ),
)
