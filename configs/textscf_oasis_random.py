# TextSCF on OASIS, ablation: random directions: the text plays no part.
_base_ = ['textscf_oasis.py']

model = dict(flow_head=dict(text_embedding=[dict(type='RandomTextEmbedding', dim=768, seed=0)]))
