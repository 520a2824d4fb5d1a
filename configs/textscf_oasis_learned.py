# TextSCF on OASIS, ablation: rows that are trained.
_base_ = ['textscf_oasis.py']

model = dict(flow_head=dict(text_embedding=[dict(type='LearnedTextEmbedding', dim=768)]))
