# The older VoxelMorph network of the IXI and LUMIR tables ("VoxelMorph-2"): strided encoder, the input as last skip, no
# integration.
model = dict(
    type='Registrar',
    ndim=3,
    backbone=dict(type='UNet', down='stride', features=[[16, 32, 32, 32], [32, 32, 32, 32, 32, 16, 16]]),
    flow_head=dict(type='ConvFlowHead'),
    integrator=dict(type='IdentityIntegrator'),
    losses=dict(
        similarity=dict(type='LNCC', window=9, negative=True, weight=1.0),
        smoothness=dict(type='Diffusion', penalty='l2', on='displacement', weight=1.0),
    ),
    checkpoint_levels=0,
)
