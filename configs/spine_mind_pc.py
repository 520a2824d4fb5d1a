# Spine CT/MR, second stage with properness condition only (setting "pc" of the paper).
_base_ = ['spine_mind_rigid.py']

model = dict(
    losses=dict(
        orthonormality=dict(weight=None),
        rigid_dice=dict(weight=None),
        rigid_field=dict(weight=None),
    ),
)
