# pyramid.py without the motion pyramid: a U-Net decoder on the concatenated features of both images, two more
# convolutions, one flow at half resolution.
_base_ = ['pyramid.py']

model = dict(
    flow_head=dict(pyramid=False, warp=False, remaining=[32, 32]),
    losses=dict(
        similarity=dict(levels=[1]),
        smoothness=dict(levels=[None, 1]),
        smoothness_back=dict(levels=[None, 1]),
    ),
)
