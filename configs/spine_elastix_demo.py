# elastix on the articulated phantoms of spine_demo.py, scored in the same table.
_base_ = ['_base_/models/elastix.py', '_base_/datasets/phantom_spine.py', '_base_/default_runtime.py']

test_cfg = dict(type='TestLoop')
# Nothing is trained.
train_dataloader = val_dataloader = val_evaluator = None
