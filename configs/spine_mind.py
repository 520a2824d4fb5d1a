# Spine CT/MR, first stage (setting "baseline"): MIND and smoothness, half-resolution network. 400 epochs, two crops per
# case and epoch, Adam 1e-4 x 0.999 per epoch. Both stages in one command:
#   python tools/train_stages.py configs/spine_mind.py configs/spine_mind_rigid.py
_base_ = [
    '_base_/models/spine.py',
    '_base_/datasets/spine.py',
    '_base_/schedules/epochs_exponential.py',
    '_base_/default_runtime.py',
]

randomness = dict(seed=2023, deterministic=True)
default_hooks = dict(checkpoint=dict(interval=20, max_keep_ckpts=3))
