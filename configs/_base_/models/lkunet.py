# LKU-Net (MLMI 2022): U-Net with large kernels, a bounded field in normalised units. The flow is the displacement;
# `integrator=dict(type='ScalingSquaring', steps=7, padding='border')` makes it a velocity (LKU-Net-diff).
# unit='lku' is the published smoothness: differences in the normalised unit, steps of 2 / n instead of 2 / (n - 1).
# fused=True is the single-kernel form for inference (tools/reparameterise.py makes its weights).
model = dict(
    type='Registrar',
    ndim=3,
    backbone=dict(type='LKUNet', channels=8, half_resolution=False, fused=False),
    flow_head=dict(
        type='ConvFlowHead',
        bias=False,
        init_std=None,
        activation='softsign',
        unit='normalised',
        resampling='centres',
    ),
    integrator=dict(type='IdentityIntegrator'),
    losses=dict(
        similarity=dict(type='LNCC', window=9, negative=True, weight=1.0),
        smoothness=dict(type='Diffusion', penalty='l2', unit='lku', on='velocity', weight=5.0),
    ),
    checkpoint_levels=0,
)
