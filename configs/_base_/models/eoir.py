# EOIR, generic network (arXiv 2509.00451): shared full-resolution encoder, five levels by resizing, one flow
# estimator per level. `channels` is the paper's start channel N; N=32 is the size of the published LUMIR weights.
model = dict(
    type='Registrar',
    ndim=3,
    backbone=dict(
        type='ResizePyramid',
        levels=5,
        factors=2,
        encoder=dict(type='EOIREncoder', channels=32),
    ),
    flow_head=dict(type='CoarseToFineHead', composition='compose'),
    integrator=dict(type='ScalingSquaring', steps=7),
    # kernel='eoir' is the smoothing kernel of the published training code, which is not isotropic; kernel='gaussian'
    # is the one that was meant. It matters in training only.
    pyramid=dict(kernel='eoir', factors=2),
    losses=dict(
        similarity=dict(type='LNCC', window=9, weight=1.0, levels=[1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]),
        smoothness=dict(
            type='Diffusion', penalty='l2', on='velocity', weight=5.0, levels=[1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]
        ),
    ),
    # Set to 2 to recompute the two finest levels in the backward pass: about half the memory (docs/methods/eoir.md).
    checkpoint_levels=0,
)
