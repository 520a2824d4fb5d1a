# VoxelMorph (VxmDense): U-Net, one velocity on the half-resolution grid, 7 squarings.
# The published loss is `similarity + lambda * int_downsize * diffusion(velocity)`: with lambda = 1 (LNCC) and the
# default grid the weight is 2; with MSE lambda = 0.01, weight 0.02.
model = dict(
    type='Registrar',
    ndim=3,
    backbone=dict(type='UNet', features=[[16, 32, 32, 32], [32, 32, 32, 32, 32, 16, 16]]),
    flow_head=dict(type='ConvFlowHead', int_downsize=2, bidirectional=False),
    integrator=dict(type='ScalingSquaring', steps=7),
    losses=dict(
        similarity=dict(type='LNCC', window=9, negative=True, weight=1.0),
        smoothness=dict(type='Diffusion', penalty='l2', on='velocity', weight=2.0),
    ),
    checkpoint_levels=0,
)
