# TransMorph-diff on IXI with the integration and the divergence of the published code (docs/methods/transmorph.md): to
# measure and run converted weights, or to train as published.
_base_ = ['transmorph_diff_ixi.py']

model = dict(
    flow_head=dict(values='keep'),
    integrator=dict(divide=False),
    losses=dict(divergence=dict(derivative='published', on='integrated')),
)
