# EOIR, OASIS network: features from half resolution on, large-kernel blocks in encoder and estimators, no integration.
# The fifth estimator that the published code builds and never uses is left out; the converter drops its weights.
model = dict(
    type='Registrar',
    ndim=3,
    backbone=dict(
        type='ResizePyramid',
        levels=4,
        first_level=1,
        factors=2,
        encoder=dict(type='EOIREncoder', channels=32, large_kernel=5),
    ),
    flow_head=dict(type='CoarseToFineHead', large_kernel=5),
    integrator=dict(type='IdentityIntegrator'),
    pyramid=dict(kernel='eoir', factors=2),
    label_values=36,
    losses=dict(
        similarity=dict(
            type='LNCC',
            form='squared',
            weight=1.0,
            levels=[1, 1 / 2, 1 / 4, 1 / 8],
            per_level=dict(window=[9, 5, 3, 3]),
        ),
        smoothness=dict(type='Diffusion', penalty='l1', on='velocity', weight=1.0, levels=[1, 1 / 2, 1 / 4, 1 / 8]),
        # absent='zero': a class in neither volume counts as no overlap, as in the published training.
        overlap=dict(type='Dice', absent='zero', weight=1.0, levels=[1, 1 / 2, 1 / 4, 1 / 8]),
    ),
    checkpoint_levels=0,
)
