# Spatially covariant filters on VoxelMorph features (16 channels), abdomen CT with predicted organs.
# scf_on_voxelmorph_without.py is the same without the filters.
_base_ = ['textscf_abdomenct.py']

model = dict(
    backbone=dict(_delete_=True, type='UNet', features=[[16, 32, 32, 32], [32, 32, 32, 32, 32, 16, 16]]),
    flow_head=dict(int_downsize=2, resampling='linear'),
    integrator=dict(_delete_=True, type='ScalingSquaring', steps=7),
)
