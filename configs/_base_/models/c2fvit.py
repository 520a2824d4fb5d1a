# C2FViT (CVPR 2022): an affine map by three transformer stages at 1/8, 1/4 and 1/2 of the resolution, after the centres
# of mass were laid upon each other. The loss is that of images at full resolution; the published one of halved images.
model = dict(
    type='CentredRegistrar',
    ndim=3,
    backbone=dict(type='ImagePyramid', levels=4, method='block', resized_levels=1),
    flow_head=dict(type='AffineTransformerHead', stages=3, channels=256, depths=4, heads=2),
    integrator=dict(type='IdentityIntegrator'),
    losses=dict(similarity=dict(type='MultiScaleLNCC', windows=[7, 5, 3], negative=True, weight=1.0)),
)
