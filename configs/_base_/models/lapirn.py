# LapIRN (MICCAI 2020), diffeomorphic: a velocity per level, each a residual on the one below; trained level by level
# (configs *_level1.py, *_level2.py, then the one without a number). Two changes make it
# - the displacement network: `integrator=dict(_delete_=True, type='IdentityIntegrator')`, smoothness weight 4;
# - the conditional network: `flow_head.conditional=True`, `smoothness.scaled_by='smoothness_code'` (clapirn.py here).
# The published smoothness counts twice the voxels, squared: 3.5 (1.0 for displacements) there is 14 (4) here.
# All grids here share their corners. Published levels do not (docs/methods/lapirn.md): `backbone.method='average'`,
# `flow_head.resampling='centres'`, `pyramid=dict(kernel='average')` and `similarity.source='full'` give that
# (configs *_published.py, which converted weights need). order='xyz' as published makes no difference to training.
model = dict(
    type='Registrar',
    ndim=3,
    backbone=dict(type='ImagePyramid', levels=3, method='gaussian'),
    flow_head=dict(type='LapIRNHead', channels=28, order='xyz', stage=None),
    integrator=dict(type='ScalingSquaring', steps=7, padding='border'),
    losses=dict(
        similarity=dict(type='MultiScaleLNCC', windows=[7, 5, 3], negative=True, outside='border', weight=1.0),
        smoothness=dict(type='Diffusion', penalty='l2', on='velocity', weight=14.0),
        folding=dict(type='JacobianFolding', on='displacement', weight=None),  # published with weight 0
    ),
    checkpoint_levels=0,
)
