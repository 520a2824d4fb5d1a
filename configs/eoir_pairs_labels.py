# eoir_pairs.py with labels in training: both images of every pair in train.csv need a label map. label_values counts
# the labels with background: set it, and losses.overlap follows.
_base_ = ['eoir_pairs.py']

model = dict(
    losses=dict(overlap=dict(type='Dice', weight=1.0)),
    label_values=5,
)
