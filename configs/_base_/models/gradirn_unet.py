# The U-Net that GraDIRN is compared with in its release, with the same losses. Its flow starts next to zero, which is
# the better start; init_std=None is closer to the published one.
model = dict(
    type='Registrar',
    ndim=2,
    backbone=dict(
        type='UNet',
        features=[[32, 32, 32, 32], [32, 32, 32, 32, 16, 16]],
        down='stride',
        stem=16,
        fixed_first=True,
    ),
    flow_head=dict(type='ConvFlowHead', unit='size_normalised'),
    integrator=dict(type='IdentityIntegrator'),
    losses=dict(
        similarity=dict(type='MSE', weight=1.0),
        regularity=dict(type='Diffusion', reduction='energy', on='velocity', weight=0.01),
    ),
)
