# Spine CT/MR, second stage: starts from the weights of spine_mind.py and adds all rigidity losses at their published
# weights. spine_mind_{pc,oc,rd,rf,pc_oc,pc_rd,pc_rf}.py are the settings of the paper's table.
_base_ = ['spine_mind.py']
first_stage = 'spine_mind.py'

load_from = 'work_dirs/spine_mind/epoch_400.pth'
model = dict(
    losses=dict(
        orthonormality=dict(weight=0.005),
        properness=dict(weight=0.01),
        rigid_dice=dict(weight=0.1),
        rigid_field=dict(weight=0.01),
    ),
)
