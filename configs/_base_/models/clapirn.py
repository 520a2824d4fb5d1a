# Conditional LapIRN (MICCAI 2021): displacements whose smoothness is chosen when they are made.
# Training draws a number s in [0, 1] per pair and weighs the smoothness by 10 s; afterwards s is
# `flow_head.code` (`--cfg-options model.flow_head.code=0.3`). This is the lite layout of the official weights; the full
# one is `channels=28, layout='full'`.
_base_ = ['lapirn.py']

model = dict(
    flow_head=dict(channels=16, layout='lite', conditional=True, code=0.1),
    integrator=dict(_delete_=True, type='IdentityIntegrator'),
    losses=dict(smoothness=dict(weight=40.0, scaled_by='smoothness_code')),
)
