# LapIRN, diffeomorphic, with the grids of the published code (docs/methods/lapirn.md): to measure and run
# converted weights, or to train their third level as published.
_base_ = ['lapirn_oasis.py']

model = dict(
    backbone=dict(method='average'),
    flow_head=dict(resampling='centres'),
    pyramid=dict(kernel='average'),
    losses=dict(similarity=dict(source='full')),
)
