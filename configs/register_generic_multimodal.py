# Anything else in two contrasts or from two scanners: nothing is assumed about the organ.
_base_ = ['register_generic.py']

model = dict(
    # Part of the structure has no partner in the other contrast: both directions have to agree on the rest.
    flow_head=dict(symmetric=True),
    losses=dict(
        # Self-similarity asks whether the surroundings of a voxel look alike, not how bright they are.
        similarity=dict(_delete_=True, type='MINDSSC', direction='both', weight=1.0),
        # Where the contrasts share nothing, nothing should move.
        smoothness=dict(type='Diffusion', on='displacement', weight=0.25),
    ),
)

# Stiff: a wrong border that attracts is worse than a fine difference that is missed.
optimisation = dict(smooth_update=4.0, smooth_field=2.5, smooth_alike=None)

# Then, where a curve from brightness to brightness explains enough of the other image, both are compared in both
# contrasts, as scans of one contrast.
curves = dict(
    preset='generic',
    explained=0.3,
    # Scans of one person (smooth_alike) are held stiff.
    levels=[dict(scale=1, iterations=10, smooth_alike=2.0)],
)

preset = dict(
    name='generic_multimodal',
    summary='Any two images of different contrast',
    suits='CT and MR, T1 and T2 of organs that no other preset names',
)
