# clapirn_oasis.py, first training: the coarsest level alone.
_base_ = ['clapirn_oasis.py']
first_stage = None

only_coarsest = [None, None, 1.0]
model = dict(
    flow_head=dict(stage=1),
    losses=dict(
        similarity=dict(windows=[3], levels=only_coarsest),
        smoothness=dict(levels=only_coarsest),
    ),
)
train_cfg = dict(max_iters=30001)
custom_hooks = []
