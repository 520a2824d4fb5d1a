"""What every run shares: hooks, logging, randomness."""

default_scope = 'mmreg'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=10),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='SafeCheckpointHook', interval=1, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    mean_loss=dict(type='MeanLossHook'),
    iter_seed=dict(type='IterSeedHook'),
    data_check=dict(type='DataCheckHook'),
    schedule=dict(type='FollowLengthHook'),
    invalid_loss=dict(type='CheckInvalidLossHook', interval=1),
    graceful_stop=dict(type='GracefulStopHook'),
    progress=dict(type='ProgressHook'),
    visualization=dict(type='VisualizationHook', cases=1),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)

# The local backend needs nothing. TensorBoard: add dict(type='TensorboardVisBackend').
# Weights & Biases: add dict(type='WandbVisBackend'); it is offline unless an account is configured, and never asks.
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='RegVisualizer', vis_backends=vis_backends)

log_processor = dict(type='LogProcessor', window_size=20, by_epoch=True)
log_level = 'INFO'
load_from = None
resume = False

# A fixed seed always: a resumed run must draw what it would have drawn.
randomness = dict(seed=0, deterministic=False)
