# Spine CT/MR, second stage with rigid Dice only (setting "rd" of the paper).
_base_ = ['spine_mind_rigid.py']

model = dict(
    losses=dict(
        orthonormality=dict(weight=None),
        properness=dict(weight=None),
        rigid_field=dict(weight=None),
    ),
)
