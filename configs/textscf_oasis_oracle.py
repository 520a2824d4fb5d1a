# TextSCF on OASIS as published: the network sees the ground-truth labels of the fixed image, those that the evaluation
# uses. Its scores are an upper bound with part of the answer in the input; tables mark them (ORACLE).
_base_ = [
    '_base_/models/textscf.py',
    '_base_/datasets/oasis.py',
    '_base_/schedules/textscf.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='TextSCF',
    paper='arXiv 2311.15607, TNNLS',
    page='methods/textscf',
    published='OASIS validation, true labels as prompts: Dice 0.9005, HD95 1.22, SDlogJ 0.387',
)

model = dict(flow_head=dict(prompt='fixed_labels'))

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
