# TransMorph-TVF (the "TransMorph" of the LUMIR tables): three stages on images averaged to half resolution, then seven
# steps of a time-varying velocity. window is 1/64 of the image: (2, 3, 3) for 160x224x192 and 160x192x224.
# Published code adds up the steps in another way and samples between voxels; weights converted from it say so
# (docs/methods/transmorph.md).
_base_ = ['transmorph.py']

model = dict(
    backbone=dict(
        depths=[4, 4, 5],
        heads=[8, 8, 8],
        window=[2, 3, 3],
        channels=None,
        finest=1,
        image_downsample=2,
        skip_norm_cfg=dict(type='BN'),
    ),
    flow_head=dict(_delete_=True, type='TimeVaryingHead', steps=7),
)
