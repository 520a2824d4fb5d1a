# EOIR on pairs of your own: three lists in $MMREG_DATA/pairs (train.csv, val.csv, test.csv; columns fixed, moving and,
# where there are, fixed_labels, moving_labels). Without labels validation reports what needs none. With labels in
# train.csv, eoir_pairs_labels.py trains on them as well. docs/datasets.md, "Pairs of your own".
_base_ = [
    '_base_/models/eoir.py',
    '_base_/datasets/pairs.py',
    '_base_/schedules/epochs_polynomial.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='EOIR',
    paper='arXiv 2509.00451',
    page='methods/eoir',
)

model = dict(losses=dict(smoothness=dict(weight=1.0)))
