# GraDIRN (arXiv 2112.03915): nine gradient-descent steps on a registration energy, three per level, coarse to fine.
# The images' force is analytic (squared differences); a small network per level stands for the regulariser's.
model = dict(
    type='Registrar',
    ndim=2,
    backbone=dict(type='ImagePyramid', levels=3, any_size=True),
    flow_head=dict(
        type='GraDIRNHead',
        # Lists over levels start with the coarsest.
        blocks=[1, 1, 1],
        repeats=[3, 3, 3],
        similarity='ssd',
        layers=5,
        channels=32,
        image_inputs='explicit',
        # Recompute every step in the backward pass: memory of one step instead of nine (docs/methods/gradirn.md).
        checkpoint_steps=False,
        # The published regularity loss counts in the network's own unit, n / (n - 1) times voxels.
        velocity_unit='published',
    ),
    integrator=dict(type='IdentityIntegrator'),
    losses=dict(
        similarity=dict(type='MSE', weight=1.0),
        regularity=dict(type='Diffusion', reduction='energy', on='velocity', weight=0.01),
    ),
)
