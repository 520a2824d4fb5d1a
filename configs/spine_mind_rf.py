# Spine CT/MR, second stage with rigid field only (setting "rf" of the paper).
_base_ = ['spine_mind_rigid.py']

model = dict(
    losses=dict(
        orthonormality=dict(weight=None),
        properness=dict(weight=None),
        rigid_dice=dict(weight=None),
    ),
)
