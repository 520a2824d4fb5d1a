# Spatially covariant filters on EOIR features of both images (32 channels), abdomen CT with predicted organs.
# scf_on_eoir_without.py is the same without the filters.
_base_ = ['textscf_abdomenct.py']

model = dict(
    backbone=dict(_delete_=True, type='ResizePyramid', levels=1, encoder=dict(type='EOIREncoder', channels=16)),
    flow_head=dict(int_downsize=2, resampling='linear'),
    integrator=dict(_delete_=True, type='ScalingSquaring', steps=7),
)
