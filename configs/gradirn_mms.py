# Domain shift: trained on ACDC as gradirn_acdc.py, tested on M&Ms, which it never saw.
_base_ = ['gradirn_acdc.py']

__card__ = dict(
    method='GraDIRN',
    paper='MICCAI 2022, arXiv 2112.03915',
    page='methods/gradirn',
)

mms = dict(
    type='MMsDataset',
    data_root='{{$MMREG_DATA:data}}/MMs',
    folder='test',
    vendors=None,  # ['A'] to ['D']: one scanner, by the challenge's table
    slices='all',
    preprocess=[dict(type='LoadVolumes'), dict(type='Resample', spacing=(2.0, 2.0, None))],
    stack=[dict(type='CropAroundLabels', size=(160, 160, None)), dict(type='CleanStackLabels')],
)
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        **mms,
        pipeline=[
            dict(type='PercentileWindow', low=0.05, high=99.95),
            dict(type='PackRegInputs', extra_meta=('volume_id',)),
        ],
    )
)
