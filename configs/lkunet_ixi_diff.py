# LKU-Net-diff on IXI: the field is a velocity, integrated by 7 squarings.
_base_ = ['lkunet_ixi.py']

__card__ = dict(
    method='LKU-Net',
    paper='MLMI 2022',
    page='methods/lkunet',
    published='Dice 0.752 (N=4), 0.760 (N=8)',
)

model = dict(integrator=dict(_delete_=True, type='ScalingSquaring', steps=7, padding='border'))
