# TextSCF on OASIS, ablation: the other published text tower, CLIP RN50x64 (1024 numbers).
_base_ = ['textscf_oasis.py']

model = dict(
    flow_head=dict(
        text_embedding=[
            dict(type='FileTextEmbedding', path={{_base_.embedding_file}}, encoder='RN50x64'),
            dict(type='OpenClipTextEmbedding', model='RN50x64', pretrained='openai'),
            dict(type='HashTextEmbedding', dim=1024),
        ],
        text_dim=1024,
    )
)
