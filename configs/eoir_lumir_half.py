# Ablation: half the channels.
_base_ = ['eoir_lumir.py']

model = dict(backbone=dict(encoder=dict(channels=16)))
