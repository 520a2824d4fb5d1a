# LKU-Net-diff on IXI: the field is a velocity, integrated by 7 squarings.
_base_ = ['lkunet_ixi.py']

model = dict(integrator=dict(_delete_=True, type='ScalingSquaring', steps=7, padding='border'))
