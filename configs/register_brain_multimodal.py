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
        dict(spacing=4, iterations=15),
        dict(spacing=2, iterations=6),
    ],
    # Descriptors are noisier than intensities: somewhat smoother than between equal contrasts.
    smooth_update=2.0,
    smooth_field=0.9,
)

# Then each image is shown with the brightness that the other has, by a curve that this pair gives, and both are
# compared as scans of one contrast: finer than self-similarity, and faster.
curves = dict(
    preset='brain_t1',
    # Where neither curve explains so much of the other image's variance, self-similarity alone counts.
    explained=0.2,
    # Scans of one person (smooth_alike) gain little from it and are held stiff.
    levels=[
        dict(spacing=2, iterations=12, smooth_alike=1.5),
        dict(spacing=1, iterations=8, smooth_alike=1.5),
    ],
)

affine = dict(transform='affine', similarity='mi', margin=0.05)

preset = dict(
    name='brain_multimodal',
    summary='Brain MR, images of different contrast',
    suits='T1 and T2, T1 and FLAIR, MR of different sequences or scanners',
)
