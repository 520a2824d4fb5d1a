# Two brain scans of different contrast: T1 and T2, FLAIR, PD; of one or of two persons.
_base_ = ['_base_/registration/deformable.py']

model = dict(
    # Part of the structure has no partner in the other contrast: both directions have to agree on the rest.
    flow_head=dict(symmetric=True),
    losses=dict(
        # Self-similarity asks whether the surroundings of a voxel look alike, not how bright they are.
        similarity=dict(_delete_=True, type='MINDSSC', radius=1, dilation=1, direction='both', weight=1.0),
        smoothness=dict(type='Diffusion', on='displacement', weight=0.05),
    ),
)

optimisation = dict(
    levels=[
        dict(spacing=8, iterations=40),
        dict(spacing=4, iterations=40),
        dict(spacing=2, iterations=20),
        # The descriptor of a 1 mm grid is dear: few iterations, on a field with 2 mm voxels.
        dict(spacing=1, iterations=8, field=2, smooth_update=1.0, smooth_field=0.5),
    ],
    # Descriptors are noisier than intensities: somewhat smoother than between equal contrasts.
    smooth_update=2.0,
    smooth_field=0.9,
)

affine = dict(transform='affine', similarity='mi', margin=0.05)

preset = dict(
    name='brain_multimodal',
    summary='Brain MR, images of different contrast',
    suits='T1 and T2, T1 and FLAIR, MR of different sequences or scanners',
)
