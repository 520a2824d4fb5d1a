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

preset = dict(
    name='generic_multimodal',
    summary='Any two images of different contrast',
    suits='CT and MR, T1 and T2 of organs that no other preset names',
)
