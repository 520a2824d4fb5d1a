# The U-Net baseline on the data of gradirn_demo.py.
_base_ = ['gradirn_demo.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='UNet',
        features=[[32, 32, 32, 32], [32, 32, 32, 32, 16, 16]],
        down='stride',
        stem=16,
        fixed_first=True,
    ),
    flow_head=dict(_delete_=True, type='ConvFlowHead', unit='size_normalised'),
)
