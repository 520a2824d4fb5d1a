# TextSCF on OASIS, ablation: hash numbers of the prompts: no meaning.
_base_ = ['textscf_oasis.py']

model = dict(flow_head=dict(text_embedding=[dict(type='HashTextEmbedding', dim=768)]))
