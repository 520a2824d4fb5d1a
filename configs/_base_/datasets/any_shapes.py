# Random shapes of any contrast, made out of nothing. A training never sees a pair twice; validation and test pairs have
# seeds of their own.
_base_ = ['../loaders_in_process.py']

dataset_type = 'AnyShapes'
size = (56, 56, 56)
regions = 24
num_classes = regions + 1  # with background
inference = dict(
    orientation='RAS',
    intensity=[dict(type='PercentileWindow', low=0.0, high=99.9)],
)

__shared__ = dict(type=dataset_type, size=size, regions=regions, points=512)
train_dataloader = dict(dataset=dict(**__shared__, count=100))
val_dataloader = dict(dataset=dict(**__shared__, count=6, seed=1001))
test_dataloader = dict(dataset=dict(**__shared__, count=20, seed=1002))

val_evaluator = [dict(type='DiceMetric', labels=num_classes), dict(type='JacobianMetric')]
test_evaluator = val_evaluator
