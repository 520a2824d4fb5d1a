# Spatially covariant filters on LapIRN's features (28 channels and the coarser levels' displacement), abdomen CT with
# predicted organs. scf_on_lapirn_without.py is the same without the filters.
_base_ = ['textscf_abdomenct.py']

model = dict(
    backbone=dict(_delete_=True, type='LapIRN', levels=3, method='gaussian', channels=28),
    flow_head=dict(int_downsize=1, resampling='linear'),
)
