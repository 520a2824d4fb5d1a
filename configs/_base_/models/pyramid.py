# Pyramid designs, DWP: dual-stream encoder, one flow per level from 1/16 to 1/2 on warped features. The other designs
# switch `correlation`, `iterations`, `pyramid`, `warp` or the backbone.
# Objective: full resolution with the last flow enlarged, and 1/4, 1/8, 1/16 with theirs, both directions; the flows
# themselves are smooth (weight lambda / 2 per direction, here lambda = 1).
model = dict(
    type='Registrar',
    ndim=3,
    backbone=dict(type='ConvPyramid', channels=[8, 16, 32, 48, 64]),
    flow_head=dict(type='PyramidHead', channels=[32, 64, 96, 128], bidirectional=True),
    integrator=dict(type='IdentityIntegrator'),
    pyramid=dict(kernel='block'),
    losses=dict(
        similarity=dict(
            type='LNCC',
            window=9,
            negative=True,
            direction='both',
            weight=1.0,
            levels=[1, None, 1 / 4, 1 / 8, 1 / 16],
        ),
        smoothness=dict(
            type='Diffusion',
            penalty='l2',
            on='displacement',
            weight=0.5,
            levels=[None, 1, 1 / 4, 1 / 8, 1 / 16],
        ),
        smoothness_back=dict(
            type='Diffusion',
            penalty='l2',
            on='inverse_displacement',
            weight=0.5,
            levels=[None, 1, 1 / 4, 1 / 8, 1 / 16],
        ),
    ),
    checkpoint_levels=0,
)
