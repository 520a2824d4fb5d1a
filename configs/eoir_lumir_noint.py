# Ablation: no integration, the flow of each level is its displacement.
_base_ = ['eoir_lumir.py']

model = dict(integrator=dict(_delete_=True, type='IdentityIntegrator'))
