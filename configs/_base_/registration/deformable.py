# Registration of one pair without training: a free field, moved by the gradient of the losses, coarse to fine.
# A preset inherits this file and says what its organ needs; a user's own config may do the same.
model = dict(
    type='Registrar',
    # The images as they are: levels are made by the optimiser, in millimetres.
    backbone=dict(type='ImagePyramid', levels=1, any_size=True),
    # Small smooth increments are composed, so the map stays invertible.
    flow_head=dict(type='FreeField', update='compose'),
    integrator=dict(type='IdentityIntegrator'),
    # A window has as many millimetres along every axis, so that thick slices are not mixed.
    # Only what both images show counts, also inside a window.
    losses=dict(similarity=dict(type='LNCC', window=9, isotropic=True, masked_statistics=True, weight=1.0)),
)

optimisation = dict(
    # A level finer than the images is left out, so one list serves 2 mm and 1 mm scans alike.
    levels=[
        dict(spacing=8, iterations=40),
        dict(spacing=4, iterations=30),
        # What is left there between two scans of one person is noise rather than anatomy.
        dict(spacing=2, iterations=18, smooth_alike=1.2),
        dict(spacing=1, iterations=12, smooth_alike=1.2),
    ],
    # Longest increment, and the Gaussians on increments and field, in voxels of the level (the same mm on each axis).
    step=0.5,
    smooth_update=1.5,
    smooth_field=0.8,
)

# Both images are brought to 0..1, the range that the losses' constants are meant for.
inference = dict(intensity=[dict(type='PercentileWindow', low=0.1, high=99.9)])
# Scans that lie well by their headers keep them: the deformation does the rest better than an affine of two persons.
affine = dict(transform='affine', similarity='mi', margin=0.08)
