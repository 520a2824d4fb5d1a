# Two abdominal CT scans, of one or of two persons: low contrast between organs, large differences.
_base_ = ['_base_/registration/deformable.py']

model = dict(
    # Organs differ by a few tens of Hounsfield units and contrast agent changes them: self-similarity holds, plain
    # correlation adds the sharp borders of bone, fat and air.
    losses=dict(
        similarity=dict(window=9, weight=1.0),
        structure=dict(type='MINDSSC', radius=1, dilation=2, weight=2.0),
    ),
)

optimisation = dict(
    _delete_=True,
    levels=[
        dict(spacing=16, iterations=60),
        dict(spacing=8, iterations=60),
        dict(spacing=4, iterations=30),
        dict(spacing=2, iterations=8, field=2, smooth_update=1.2, smooth_field=0.5),
    ],
    step=0.5,
    smooth_update=2.5,
    smooth_field=1.0,
)

# The soft-tissue window.
inference = dict(intensity=[dict(type='ClipWindow', low=-200, high=300)])
affine = dict(transform='affine', similarity='mi', margin=0.05)

preset = dict(
    name='abdomen_ct',
    summary='CT of the abdomen',
    suits='two persons, or two contrast phases or follow-up scans of one person',
)
