# VoxelMorph-diff on IXI by the code of the TransMorph paper: a Gaussian velocity at half resolution; MSE / sigma^2 with
# sigma 0.01, and the divergence from a smooth prior. That code does not divide by 2^7 before it integrates, and keeps
# half-resolution voxels as full ones (docs/methods/voxelmorph.md); so does this config: it runs converted weights.
_base_ = ['voxelmorph_ixi.py']

__card__ = dict(
    method='VoxelMorph',
    paper='TMI 2019',
    page='methods/voxelmorph',
    published='Dice 0.580 (VoxelMorph-diff)',
)

model = dict(
    backbone=dict(
        stem=16,
        half_res=True,
        upsampling='centres',
        features=[[32, 32, 32, 32], [32, 32, 32, 32, 16]],
    ),
    flow_head=dict(type='GaussianFlowHead', int_downsize=2, resampling='centres', values='keep'),
    integrator=dict(_delete_=True, type='ScalingSquaring', steps=7, divide=False),
    losses=dict(
        _delete_=True,
        similarity=dict(type='MSE', weight=1e4),
        divergence=dict(type='GaussianKL', precision=10.0, on='integrated', derivative='published', weight=1.0),
    ),
)
