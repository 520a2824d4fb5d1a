# Spine CT/MR, setting "Staring": elastix with the published parameters, scored like every other method:
#   python tools/baseline_elastix.py --out results
_base_ = ['_base_/models/elastix.py', '_base_/datasets/spine.py', '_base_/default_runtime.py']

test_cfg = dict(type='TestLoop')
# Nothing is trained.
train_dataloader = val_dataloader = val_evaluator = None
