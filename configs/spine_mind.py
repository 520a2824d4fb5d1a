# Spine CT/MR, first stage (setting "baseline"): MIND and smoothness, half-resolution network. 400 epochs, two crops per
# case and epoch, Adam 1e-4 x 0.999 per epoch. Both stages in one command:
#   python tools/train_stages.py configs/spine_mind.py configs/spine_mind_rigid.py
_base_ = [
    '_base_/models/spine.py',
    '_base_/datasets/spine.py',
    '_base_/schedules/epochs_exponential.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='Spine CT/MR',
    paper='MICCAI 2022, arXiv 2205.07568',
    page='methods/spine',
    published='in-house data, medians read off plots: Dice 0.81, rigid Dice 0.87',
)

randomness = dict(seed=2023, deterministic=True)
default_hooks = dict(checkpoint=dict(interval=20, max_keep_ckpts=3))
