# TransMorph (MedIA 2022), base size: Swin encoder of both images, convolutional decoder, one displacement.
# The window fills the last stage where it is 1/32 of the image: (5, 6, 7) for 160x192x224.
model = dict(
    type='Registrar',
    ndim=3,
    backbone=dict(
        type='TransMorph',
        width=96,
        depths=[2, 2, 4, 2],
        heads=[4, 4, 8, 8],
        window=[5, 6, 7],
        drop_path=0.3,
        # True: transformer blocks are computed again in the backward pass. checkpoint_levels does so for the decoder.
        use_checkpoint=False,
    ),
    flow_head=dict(type='ConvFlowHead'),
    integrator=dict(type='IdentityIntegrator'),
    losses=dict(
        similarity=dict(type='LNCC', window=9, negative=True, weight=1.0),
        smoothness=dict(type='Diffusion', penalty='l2', on='displacement', weight=1.0),
    ),
    checkpoint_levels=0,
)
