# Two CT scans of one chest: inhale and exhale, or a follow-up.
_base_ = ['_base_/registration/deformable.py']

model = dict(
    # Air thins out between the phases: correlation in a window does not see the change of density.
    losses=dict(similarity=dict(window=7)),
)

optimisation = dict(
    _delete_=True,
    levels=[
        # The diaphragm moves by centimetres: a coarse level more than elsewhere, and many iterations there.
        dict(spacing=16, iterations=60),
        dict(spacing=8, iterations=60),
        dict(spacing=4, iterations=40),
        # The chest wall slides along the lungs: in the end they count first, apart from what is beside them.
        dict(spacing=2, iterations=15, focus=True),
    ],
    focus='lungs',
    step=0.5,
    smooth_update=2.5,
    smooth_field=1.5,
)

# Hounsfield units from air to blood: vessels in the lung are what there is to see.
inference = dict(intensity=[dict(type='ClipWindow', low=-1000, high=200)])
affine = dict(transform='affine', similarity='lncc', margin=0.08)

preset = dict(
    name='lung_ct',
    summary='CT of the chest, two breathing states or a follow-up',
    suits='inhale and exhale CT, phases of 4D-CT, follow-up scans of the lung',
)
