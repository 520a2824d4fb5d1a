# SITReg with the widths of the LUMIR 2024 winner: symmetric half-way steps, inverses by fixed point to 1e-2 voxel.
# Both directions count alike: the similarity is their mean, and each field carries half of the smoothness.
norm_cfg = dict(type='GN', num_groups=4)

model = dict(
    type='Registrar',
    ndim=3,
    backbone=dict(type='SITRegEncoder', channels=[12, 32, 64, 128, 128, 128], norm_cfg=norm_cfg),
    flow_head=dict(type='SITRegHead', channels=[12, 64, 128, 256, 256, 256], norm_cfg=norm_cfg),
    integrator=dict(type='IdentityIntegrator', iterations=50, tolerance=1e-2),
    losses=dict(
        similarity=dict(type='LNCC', window=11, negative=True, direction='both', outside='hidden', weight=1.0),
        smoothness=dict(type='Diffusion', penalty='l2', on='displacement', weight=0.5),
        inverse_smoothness=dict(type='Diffusion', penalty='l2', on='inverse_displacement', weight=0.5),
    ),
    checkpoint_levels=0,
)
