# TextSCF on OASIS as published: the network sees the ground-truth labels of the fixed image, those that the evaluation
# uses. Its scores are an upper bound with part of the answer in the input; tables mark them (ORACLE).
_base_ = [
    '_base_/models/textscf.py',
    '_base_/datasets/oasis.py',
    '_base_/schedules/textscf.py',
    '_base_/default_runtime.py',
]

model = dict(flow_head=dict(prompt='fixed_labels'))

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
