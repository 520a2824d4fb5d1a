# LapIRN, displacement network, on OASIS; otherwise lapirn_oasis.py.
_base_ = ['lapirn_oasis.py']
first_stage = 'lapirn_oasis_disp_level2.py'

__card__ = dict(
    method='LapIRN',
    paper='MICCAI 2020',
    page='methods/lapirn',
)

model = dict(
    integrator=dict(_delete_=True, type='IdentityIntegrator'),
    losses=dict(smoothness=dict(weight=4.0)),
)
