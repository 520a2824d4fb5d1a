# uniGradICON: GradICON's three steps and one more at full resolution.
_base_ = ['gradicon.py']

model = dict(flow_head=dict(steps={{_base_.four_steps}}))
