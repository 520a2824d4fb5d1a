# Spine CT/MR, first stage with the full-resolution network.
_base_ = [
    '_base_/models/spine_full.py',
    '_base_/datasets/spine.py',
    '_base_/schedules/epochs_exponential.py',
    '_base_/default_runtime.py',
]

randomness = dict(seed=2023, deterministic=True)
default_hooks = dict(checkpoint=dict(interval=20, max_keep_ckpts=3))
