# Spine CT/MR, second stage with orthonormality condition only (setting "oc" of the paper).
_base_ = ['spine_mind_rigid.py']

model = dict(
    losses=dict(
        properness=dict(weight=None),
        rigid_dice=dict(weight=None),
        rigid_field=dict(weight=None),
    ),
)
