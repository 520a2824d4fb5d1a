# Two 2-D pictures of different contrast: histology of two stains, slices of two sequences.
_base_ = ['register_generic_multimodal.py']

# Neighbouring sections differ by what lies between them: stiffer still than two volumes.
optimisation = dict(smooth_field=5.0)
curves = dict(preset='planar')

preset = dict(
    name='planar_multimodal',
    summary='Two 2-D pictures of different contrast',
    suits='histology of two stains, slices of two sequences',
)
