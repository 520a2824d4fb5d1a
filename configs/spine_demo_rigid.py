# The demonstration of the spine system, second stage: starts from the weights of spine_demo.py and adds rigidity.
# With 0.2 instead of 0.03 for the rigid field the small network stops moving the vertebrae at all.
_base_ = ['spine_demo.py']
first_stage = 'spine_demo.py'

__card__ = dict(
    method='Spine CT/MR',
    paper='MICCAI 2022, arXiv 2205.07568',
    page='methods/spine',
    measured='synthetic spines: Dice 0.737 -> 0.805, residual inside vertebrae 0.344 mm',
)

load_from = 'work_dirs/spine_demo/iter_600.pth'
model = dict(
    losses=dict(
        orthonormality=dict(weight=0.005),
        properness=dict(weight=0.01),
        rigid_field=dict(num_samples=None, weight=0.03),
    ),
)
train_cfg = dict(max_iters=200, val_interval=100)
default_hooks = dict(checkpoint=dict(interval=100, by_epoch=False))
