# Articulated spine phantoms, made when asked for: CT-like and MR-like images of vertebrae in two poses, with labels and
# the true displacement. Training, validation and test use disjoint pairs.
_base_ = ['../loaders_in_process.py']

dataset_type = 'ArticulatedSpinePhantom'
size = (32, 32, 64)
inference = dict(
    spacing=1.0,
    intensity=[
        dict(type='ClipWindow', low=-1000.0, high=2000.0, images=['moving']),
        dict(type='MinMax', images=['fixed']),
    ],
    rigidity=True,
)
train_dataloader = dict(dataset=dict(type=dataset_type, size=size, first=0, count=64))
val_dataloader = dict(dataset=dict(type=dataset_type, size=size, first=10000, count=4))
test_dataloader = dict(dataset=dict(type=dataset_type, size=size, first=20000, count=16))

val_evaluator = [
    dict(type='DiceMetric'),
    dict(type='RigidityMetric'),
    dict(type='FieldError', mask='true_displacement_valid'),
    dict(type='JacobianMetric'),
]
test_evaluator = [*val_evaluator, dict(type='SurfaceMetric')]
