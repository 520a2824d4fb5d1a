# Spine CT/MR, first stage with global mutual information (23 bins) instead of MIND.
_base_ = ['spine_mind.py']

__card__ = dict(
    method='Spine CT/MR',
    paper='MICCAI 2022, arXiv 2205.07568',
    page='methods/spine',
)

model = dict(
    losses=dict(
        similarity=dict(_delete_=True, type='MutualInformation', direction='both', weight=2.0),
    ),
)
