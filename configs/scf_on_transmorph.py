# Spatially covariant filters on TransMorph features (16 channels), abdomen CT with predicted organs.
# scf_on_transmorph_without.py is the same without the filters.
_base_ = ['textscf_abdomenct.py']

model = dict(
    backbone=dict(_delete_=True, type='TransMorph', width=96, heads=[4, 4, 8, 8], window=[3, 3, 4]),
    flow_head=dict(int_downsize=1, resampling='linear'),
)
