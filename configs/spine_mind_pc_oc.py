# Spine CT/MR, second stage with properness condition and orthonormality condition only (setting "pc+oc" of the paper).
_base_ = ['spine_mind_rigid.py']

model = dict(
    losses=dict(
        rigid_dice=dict(weight=None),
        rigid_field=dict(weight=None),
    ),
)
