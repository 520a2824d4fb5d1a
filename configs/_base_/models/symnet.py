# SYMNet (CVPR 2020): two velocities move both images to a middle, through which both whole maps go.
# Velocities count voxels, at most 100 along an axis. order='xyz' as published, so that converted weights fit.
model = dict(
    type='Registrar',
    ndim=3,
    backbone=dict(type='SYMNet', first='fixed', channels=7),
    flow_head=dict(type='SymmetricHead', first='fixed', kernel=5, scale=100.0, order='xyz'),
    integrator=dict(type='ScalingSquaring', steps=7),
    losses=dict(
        middle=dict(type='LNCC', window=5, negative=True, direction='middle', weight=1.0),
        # Published: the sum of both directions at weight 1; here their mean.
        similarity=dict(type='LNCC', window=5, negative=True, direction='both', weight=2.0),
        magnitude=dict(type='MagnitudeBalance', on='half', weight=0.1),
        folding=dict(type='JacobianFolding', on='displacement', weight=100.0),
        inverse_folding=dict(type='JacobianFolding', on='inverse_displacement', weight=100.0),
        smoothness=dict(type='Diffusion', penalty='l2', on='velocity', weight=3.0),
        inverse_smoothness=dict(type='Diffusion', penalty='l2', on='inverse_velocity', weight=3.0),
    ),
    checkpoint_levels=0,
)
