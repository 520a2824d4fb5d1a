# A small network for images of any contrast: a siamese encoder whose finest features have half the image's resolution,
# local correlation on warped features at every level, a velocity per level. It learns from labels of synthesised
# images; `label_values` is said by the data set's config.
model = dict(
    type='Registrar',
    ndim=3,
    backbone=dict(type='ConvPyramid', channels=[4, 16, 24, 32]),
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
        landmarks=dict(type='LandmarkDistance', penalty='huber', delta=1.0, weight=0.1),
        smoothness=dict(type='Diffusion', penalty='l2', on='displacement', weight=0.5, levels=[None, 1]),
    ),
)
