# Brains of any contrast, with and without skull, synthesised from the MNI152 tissue maps that nilearn packages. A
# training never sees a pair twice; validation and test pairs have seeds of their own.
_base_ = ['../loaders_in_process.py']

dataset_type = 'AnyBrains'
size = (56, 72, 56)
parcels = 14
num_classes = 3 * parcels + 2  # with background
inference = dict(
    spacing=2.0,
    orientation='RAS',
    intensity=[dict(type='PercentileWindow', low=0.0, high=99.9)],
)

__shared__ = dict(type=dataset_type, size=size, parcels=parcels, points=512)
train_dataloader = dict(dataset=dict(**__shared__, count=100))
val_dataloader = dict(dataset=dict(**__shared__, count=6, seed=1001))
test_dataloader = dict(dataset=dict(**__shared__, count=20, seed=1002))

val_evaluator = [dict(type='DiceMetric', labels=num_classes), dict(type='JacobianMetric')]
test_evaluator = val_evaluator
