# Ablation: displacements of the levels are added instead of composed (the paper: same Dice, NDV 0.186 % for 0.0002 %).
_base_ = ['eoir_lumir.py']

model = dict(flow_head=dict(composition='add'))
