# A small network for images of any contrast: a siamese encoder of self-similarity, which is the same for an image and
# its negative, and whose finest features have half the image's resolution; local correlation on warped features at
# every level, a velocity per level. It learns from labels and corresponding points of synthesised images;
# `label_values` is said by the data set's config.
model = dict(
    type='Registrar',
    ndim=3,
    backbone=dict(type='DescriptorPyramid', channels=[8, 16, 24, 32]),
    flow_head=dict(
        type='PyramidHead',
        channels=[16, 24, 32],
        correlation=dict(radius=[1, 1, 2]),
        upsample='corners',
        padding='border',
    ),
    integrator=dict(type='ScalingSquaring', steps=4),
    losses=dict(
        overlap=dict(type='Dice', background=False, weight=1.0),
        landmarks=dict(type='LandmarkDistance', penalty='huber', delta=1.0, weight=0.3),
        smoothness=dict(type='Diffusion', penalty='l2', on='displacement', weight=2.0, levels=[None, 1]),
    ),
)
