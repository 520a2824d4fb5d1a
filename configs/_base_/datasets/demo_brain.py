# Simulated brains: nilearn's packaged MNI152 template bent by known random diffeomorphisms; 80x96x80 at 2 mm, labels
# 1 to 4. Simulated from a real template, not real subjects. Training, validation and test use disjoint subjects.
_base_ = ['../loaders_in_process.py']

dataset_type = 'SimulatedBrainDataset'
resolution = 2
num_classes = 5  # with background
train_subjects = dict(first=0, count=24)
val_subjects = dict(first=1000, count=3)
test_subjects = dict(first=2000, count=5)
preprocess = [dict(type='PercentileWindow', low=0.0, high=99.9)]
inference = dict(spacing=float(resolution), orientation='RAS')

# What the three splits have in common; not part of the config itself.
__shared__ = dict(type=dataset_type, resolution=resolution, preprocess=preprocess)
train_dataloader = dict(dataset=dict(**__shared__, pairing='random', **train_subjects))
val_dataloader = dict(dataset=dict(**__shared__, pairing='next', true_fields=True, **val_subjects))
test_dataloader = dict(dataset=dict(**__shared__, pairing='next', true_fields=True, **test_subjects))

val_evaluator = [
    dict(type='DiceMetric', labels=num_classes),
    dict(type='FieldError', mask='true_displacement_valid'),
    dict(type='JacobianMetric'),
]
test_evaluator = [*val_evaluator, dict(type='SurfaceMetric', labels=num_classes)]
