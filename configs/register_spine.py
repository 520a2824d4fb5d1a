# Spine MR of one person in two contrasts (T1 and T2): nearly rigid, edges are all the images share.
_base_ = ['_base_/registration/deformable.py']

model = dict(
    # Half of the edges have no partner in the other contrast: both directions have to agree on the rest.
    flow_head=dict(symmetric=True),
    # Normalised gradient fields align edges whatever their contrast; MI and MIND follow the neck's soft tissue instead.
    losses=dict(similarity=dict(_delete_=True, type='NGF', direction='both', weight=1.0)),
)

optimisation = dict(
    _delete_=True,
    levels=[
        dict(spacing=2, iterations=25, last_step=0.2),
        dict(spacing=1, iterations=25, last_step=0.1),
    ],
    # Fractions of a voxel decide: small steps that shrink.
    step=0.25,
    # Vertebrae do not deform within a session: only motion that is smooth over a vertebra is let through.
    smooth_update=10.0,
    smooth_field=1.5,
)

affine = dict(transform='rigid', similarity='mi')

preset = dict(
    name='spine',
    summary='Spine MR of one person, two contrasts',
    suits='T1 and T2 of the spine or the neck, from one session or a follow-up',
)
