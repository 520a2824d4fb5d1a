# LapIRN, displacement network, on abdomen CT-CT with labels, for comparison with eoir_abdomenctct.py: its schedule, all
# levels at once. The authors of LapIRN published no recipe for this data set.
_base_ = [
    '_base_/models/lapirn.py',
    '_base_/datasets/abdomenctct.py',
    '_base_/schedules/epochs_constant.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='LapIRN',
    paper='MICCAI 2020',
    page='methods/lapirn',
    published='Dice 0.546, HD95 20.5, SDlogJ 1.73 (EOIR paper)',
)

levels = [1.0, 1 / 2, 1 / 4]
model = dict(
    integrator=dict(_delete_=True, type='IdentityIntegrator'),
    label_values=14,
    losses=dict(
        similarity=dict(
            _delete_=True,
            type='LNCC',
            negative=True,
            per_level=dict(window=[7, 5, 3]),
            levels=levels,
            outside='border',
            weight=1.0,
        ),
        smoothness=dict(levels=levels, weight=4.0),
        overlap=dict(type='Dice', absent='zero', weight=1.0),
    ),
)

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
