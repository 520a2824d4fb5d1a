# Anything else in one contrast: nothing is assumed about the organ.
_base_ = ['_base_/registration/deformable.py']

optimisation = dict(
    _delete_=True,
    # In multiples of the images' finest voxel size, since the size of what is shown is unknown.
    levels=[
        dict(scale=8, iterations=50),
        dict(scale=4, iterations=50),
        dict(scale=2, iterations=30),
        dict(scale=1, iterations=12),
    ],
    step=0.5,
    # Smoother than for brains: large coherent motion is as likely as fine differences.
    smooth_update=2.5,
    smooth_field=1.2,
    smooth_alike=1.6,
)

preset = dict(
    name='generic',
    summary='Any two images of one contrast',
    suits='organs that no other preset names',
)
