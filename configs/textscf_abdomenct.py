# TextSCF on abdomen CT-CT (Learn2Reg 2020, task 3) with predicted organs, data as in eoir_abdomenctct.py. The published
# code has no abdomen part: losses and weights are ours, starting from its OASIS recipe.
# Any segmenter will do (docs/methods/textscf.md); this one reads TotalSegmentator's --ml files.
_base_ = [
    '_base_/models/textscf.py',
    '_base_/datasets/abdomenctct.py',
    '_base_/schedules/textscf.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='TextSCF',
    paper='arXiv 2311.15607, TNNLS',
    page='methods/textscf',
    published='Dice about 0.606 (read off a chart; true labels as prompts)',
)

segmenter = dict(
    type='FileSegmenter',
    path='{{$MMREG_DATA:data}}/AbdomenCTCT/prompts/{stem}.nii.gz',
    label_set='abdomenct13',
    classes='totalsegmentator',
)
preprocess = [
    dict(type='LoadVolumes'),
    dict(type='SegmentPrompt', segmenter=segmenter),
    dict(type='ClipWindow', low=-500.0, high=800.0),
    dict(type='Zoom', factor=0.5, order=2),
]
train_dataloader = dict(dataset=dict(preprocess=preprocess))
val_dataloader = dict(dataset=dict(preprocess=preprocess))
test_dataloader = dict(dataset=dict(preprocess=preprocess))

model = dict(
    flow_head=dict(label_set='abdomenct13'),
    losses=dict(similarity=dict(_delete_=True, type='LNCC', window=9, weight=1.0)),
    label_values=14,
)
default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
