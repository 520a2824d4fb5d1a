# EOIR on LUMIR (Learn2Reg 2024), unsupervised: the second place of the challenge (arXiv 2409.00917, 2509.00451).
# The published values conflict in places; these are those of the challenge's launch script with N=32, the size of the
# published weights. The paper's later code trains for 301 epochs: --cfg-options train_cfg.max_epochs=301.
_base_ = [
    '_base_/models/eoir.py',
    '_base_/datasets/lumir.py',
    '_base_/schedules/epochs_polynomial.py',
    '_base_/default_runtime.py',
]

__card__ = dict(
    method='EOIR',
    paper='arXiv 2509.00451',
    page='methods/eoir',
    published='LUMIR validation: Dice 0.7737, TRE 2.350 mm, HD95 3.33, NDV 0.0002 %',
)

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=10, save_best='reg/dice', rule='greater'),
)
