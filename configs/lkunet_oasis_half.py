# LKU-Net on OASIS at half resolution: the field is found on every second voxel and enlarged. Smoothness 0.1 (a second
# published model: 0.05).
_base_ = ['lkunet_oasis.py']

__card__ = dict(
    method='LKU-Net',
    paper='MLMI 2022',
    page='methods/lkunet',
)

model = dict(backbone=dict(half_resolution=True), losses=dict(smoothness=dict(weight=0.1)))
train_cfg = dict(max_iters=464528)
