# TextSCF (arXiv 2311.15607): LKU-Net-like network that ends at half resolution, and a flow head whose filters follow
# the label map of the fixed image. Sizes of the paper's large model; N = channels, C_phi = hidden_dim.
# Embeddings: a file made by tools/embed_labels.py, else CLIP, else hash numbers without meaning (with a warning).
embedding_file = '{{$MMREG_DATA:data}}/text/{label_set}_{encoder}.npz'
model = dict(
    type='Registrar',
    ndim=3,
    backbone=dict(type='LKUNet', channels=64, kernel=5, half_resolution=True),
    flow_head=dict(
        type='TextSCFHead',
        label_set='oasis35',
        text_embedding=[
            dict(type='FileTextEmbedding', path=embedding_file, encoder='ViT-L-14-336'),
            dict(type='OpenClipTextEmbedding', model='ViT-L-14-336', pretrained='openai'),
            dict(type='HashTextEmbedding', dim=768),
        ],
        text_dim=768,
        hidden_dim=2048,
        prompt='fixed_prompt',
        int_downsize=1,
    ),
    integrator=dict(type='IdentityIntegrator'),
    losses=dict(
        similarity=dict(type='MSE', weight=1.0),
        # absent='zero' is the published habit: a class in neither image adds a constant.
        overlap=dict(type='Dice', squared=True, absent='zero', weight=1.0),
        smoothness=dict(type='Diffusion', penalty='l2', on='velocity', weight=0.1),
    ),
    label_values=36,
    checkpoint_levels=0,
)
