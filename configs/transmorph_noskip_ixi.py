# TransMorph on IXI without any skip: the decoder sees the deepest stage only. One kind of skip alone:
# --cfg-options model.backbone.transformer_skips=True (or model.backbone.convolution_skips=True)
_base_ = ['transmorph_ixi.py']

__card__ = dict(
    method='TransMorph',
    paper='MedIA 2022',
    page='methods/transmorph',
)

model = dict(backbone=dict(transformer_skips=False, convolution_skips=False))
# The norms of stages that nobody sees get no gradient; several GPUs have to know.
find_unused_parameters = True
