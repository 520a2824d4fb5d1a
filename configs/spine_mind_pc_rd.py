# Spine CT/MR, second stage with properness condition and rigid Dice only (setting "pc+rd" of the paper).
_base_ = ['spine_mind_rigid.py']

model = dict(
    losses=dict(
        orthonormality=dict(weight=None),
        rigid_field=dict(weight=None),
    ),
)
