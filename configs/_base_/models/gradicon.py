# GradICON's three steps (quarter, half and full resolution), which is also uniGradICON's first stage. Both directions
# come from the networks themselves; the published loss is 1.5 * GradICON + the sum of both similarities.
flow_head = dict(type='ConvFlowHead', init_std=0.0, scale=0.2, unit='normalised')
unet = dict(type='GradICONUNet', channels=[16, 32, 64, 256, 512], up_channels=[16, 32, 64, 128, 256])
four_steps = [
    dict(level=2, backbone=unet, flow_head=flow_head),
    dict(level=1, backbone=unet, flow_head=flow_head),
    dict(level=0, backbone=unet, flow_head=flow_head),
    dict(level=0, backbone=unet, flow_head=flow_head),
]

model = dict(
    type='Registrar',
    ndim=3,
    backbone=dict(type='ImagePyramid', levels=3, method='block_partial', any_size=True),
    flow_head=dict(
        type='MultiStepHead',
        backward='networks',
        steps=four_steps[:3],
    ),
    integrator=dict(type='IdentityIntegrator'),
    losses=dict(
        similarity=dict(
            type='LNCC', kernel='gaussian', sigma=5, form='signed', stabiliser='each', direction='both', weight=2.0
        ),
        consistency=dict(
            type='GradICON',
            direction='backward',
            symmetric=False,
            unit='unit',
            step=0.001,
            noise=2.0,
            stride=2,
            padding='border',
            weight=1.5,
        ),
    ),
    checkpoint_levels=0,
)
