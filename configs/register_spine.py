# Spine MR of one person in two contrasts (T1 and T2): nearly rigid, edges are all the images share.
_base_ = ['_base_/registration/deformable.py']

model = dict(
    # Part of the structure has no partner in the other contrast: both directions have to agree on the rest.
    flow_head=dict(symmetric=True),
    # Self-similarity sees the same borders in both contrasts; MI follows the soft tissue of the neck instead.
    losses=dict(similarity=dict(_delete_=True, type='MINDSSC', direction='both', weight=1.0)),
)

optimisation = dict(
    _delete_=True,
    levels=[
        dict(spacing=2, iterations=8, last_step=0.2),
        dict(spacing=1, iterations=10, last_step=0.1),
    ],
    # Fractions of a voxel decide: small steps that shrink.
    step=0.25,
    # Vertebrae do not deform within a session: only motion that is smooth over most of a vertebra is let through.
    smooth_update=8.0,
    smooth_field=1.5,
)

# Headers of one session are right, and MI follows throat and muscles that moved in between. Only a larger motion, of a
# follow-up or of a patient who got up, is a rigid one to correct.
affine = dict(transform='rigid', similarity='mi', trust_headers=5.0)

preset = dict(
    name='spine',
    summary='Spine MR of one person, two contrasts',
    suits='T1 and T2 of the spine or the neck, from one session or a follow-up',
)
