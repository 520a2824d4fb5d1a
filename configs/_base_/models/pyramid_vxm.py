# pyramid_dual.py with one encoder on the stacked images, which knows one direction. The published code runs it twice,
# once per direction; here a sampler that draws both orders of a pair does the same over two steps.
_base_ = ['pyramid_dual.py']

model = dict(
    backbone=dict(siamese=False, channels=[16, 32, 64, 96, 128]),
    flow_head=dict(bidirectional=False),
    losses=dict(
        similarity=dict(direction='forward'),
        smoothness=dict(weight=1.0),
        smoothness_back=dict(weight=None),
    ),
)
