# Anything else: nothing is assumed about the organ or the contrasts.
_base_ = ['_base_/registration/deformable.py']

model = dict(
    # The square of local correlation follows equal and inverted contrast; normalised gradients add edges that only
    # differ in strength.
    losses=dict(
        similarity=dict(window=9, weight=1.0),
        edges=dict(type='NGF', weight=1.0),
    ),
)

optimisation = dict(
    _delete_=True,
    # In multiples of the images' finest voxel size, since the size of what is shown is unknown.
    levels=[
        dict(scale=8, iterations=50),
        dict(scale=4, iterations=50),
        dict(scale=2, iterations=30),
        dict(scale=1, iterations=10, field=2, smooth_update=1.2, smooth_field=0.5),
    ],
    step=0.5,
    smooth_update=2.5,
    smooth_field=0.8,
)

affine = dict(transform='affine', similarity='mi')

preset = dict(
    name='generic',
    summary='Any two images of the same part of a body',
    suits='organs and contrasts that no other preset names; 2-D images',
)
