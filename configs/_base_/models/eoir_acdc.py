# EOIR, ACDC network: the through-plane axis is never resized.
# scale_all_axes=True doubles the through-plane component between levels although its voxels did not shrink: the
# published weights were trained that way. False is the correct factor, for models of your own.
model = dict(
    type='Registrar',
    ndim=3,
    backbone=dict(
        type='ResizePyramid',
        levels=5,
        factors=[2, 2, 1],
        encoder=dict(type='EOIREncoder', channels=32),
    ),
    flow_head=dict(type='CoarseToFineHead', scale_all_axes=True),
    integrator=dict(type='ScalingSquaring', steps=7),
    pyramid=dict(kernel='gaussian', factors=[2, 2, 1]),
    losses=dict(
        similarity=dict(type='MSE', weight=1.0, levels=[1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]),
        # The published script multiplies by its weight twice, so that its effective value is 1e-4; which of the two
        # the paper's table was made with is not known.
        smoothness=dict(
            type='Diffusion', penalty='l1', on='velocity', weight=0.01, levels=[1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]
        ),
    ),
    checkpoint_levels=0,
)
