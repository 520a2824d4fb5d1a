# A small TextSCF on simulated brains at 4 mm. The label map of the fixed image is predicted by a small network, a MONAI
# bundle in configs/bundles/demo_tissue that benchmarks/textscf_segmenter.py trained on the training subjects. The
# embeddings are hash numbers: nothing is downloaded.
_base_ = [
    '_base_/models/textscf.py',
    '_base_/datasets/demo_brain.py',
    '_base_/schedules/iterations.py',
    '_base_/default_runtime_iterations.py',
]

resolution = 4
segmenter = dict(type='MonaiBundleSegmenter', bundle='{{fileDirname}}/bundles/demo_tissue', label_set='demo4')
preprocess = [
    dict(type='PercentileWindow', low=0.0, high=99.9),
    dict(type='SegmentPrompt', segmenter=segmenter),
]
train_dataloader = dict(
    sampler=dict(type='SeededInfiniteSampler'), dataset=dict(resolution=resolution, preprocess=preprocess)
)
val_dataloader = dict(dataset=dict(resolution=resolution, preprocess=preprocess))
test_dataloader = dict(dataset=dict(resolution=resolution, preprocess=preprocess))
inference = dict(spacing=4.0, orientation='RAS')

model = dict(
    backbone=dict(channels=4),
    flow_head=dict(
        label_set='demo4',
        text_embedding=[dict(type='HashTextEmbedding', dim=768)],
        hidden_dim=64,
    ),
    losses=dict(overlap=dict(absent='ignore')),
    label_values=5,
)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
train_cfg = dict(max_iters=2000, val_interval=500)

default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=500, by_epoch=False))
