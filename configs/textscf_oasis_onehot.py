# TextSCF on OASIS, ablation: one dimension per label.
_base_ = ['textscf_oasis.py']

model = dict(flow_head=dict(text_embedding=[dict(type='OneHotTextEmbedding')], text_dim=36))
