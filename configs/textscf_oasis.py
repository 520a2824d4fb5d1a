# TextSCF on OASIS (Learn2Reg 2021, task 3) with predicted label maps of the fixed image: one file per subject in
# $MMREG_DATA/OASIS/prompts, made beforehand (SynthSeg or any other; docs/methods/textscf.md).
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
)

# FreeSurfer numbers become labels 1..35; the arrays lie on the pickles' voxels.
segmenter = dict(
    type='FileSegmenter',
    path='{{$MMREG_DATA:data}}/OASIS/prompts/{id}.nii.gz',
    label_set='oasis35',
    classes='freesurfer',
    grid='voxel',
)
preprocess = [dict(type='LoadVolumes'), dict(type='SegmentPrompt', segmenter=segmenter)]
train_dataloader = dict(dataset=dict(preprocess=preprocess))
val_dataloader = dict(dataset=dict(preprocess=preprocess))
test_dataloader = dict(dataset=dict(preprocess=preprocess))

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
