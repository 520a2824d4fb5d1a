# LapIRN, displacement network, on OASIS; otherwise lapirn_oasis_level2.py.
_base_ = ['lapirn_oasis_level2.py']
first_stage = 'lapirn_oasis_disp_level1.py'

model = dict(
    integrator=dict(_delete_=True, type='IdentityIntegrator'),
    losses=dict(smoothness=dict(weight=4.0)),
)
