# Two phases of a cine MR exam of one heart: short-axis stacks of thick slices, large contraction.
_base_ = ['_base_/registration/deformable.py']

model = dict(
    # The window spans the wall and both its borders; smaller ones follow the texture of the blood.
    losses=dict(similarity=dict(window=9)),
)

optimisation = dict(
    _delete_=True,
    levels=[
        # The motion is coherent over the heart: most of the work is done coarse.
        dict(spacing=11, iterations=80),
        dict(spacing=5.5, iterations=50),
        dict(spacing=2.75, iterations=40),
        dict(spacing=1.4, iterations=10),
    ],
    step=0.5,
    # The wall halves its length: smooth increments may add up (a fluid), the field itself is hardly held back.
    smooth_update=6.0,
    smooth_field=0.5,
)

# One exam, one scanner frame: headers align it.
affine = None

preset = dict(
    name='cardiac_cine',
    summary='Cine MR of the heart, two phases of one exam',
    suits='end-diastole and end-systole, any two frames of a short-axis or long-axis cine',
)
