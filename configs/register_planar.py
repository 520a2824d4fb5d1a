# Two 2-D pictures of one contrast: X-ray, photographs, single slices, sections of one stain.
_base_ = ['register_generic.py']

# Few pixels see the same tissue, and much is torn, folded or out of plane: only what is smooth is believed.
optimisation = dict(smooth_update=2.5, smooth_field=5.0, smooth_alike=5.0)

preset = dict(
    name='planar',
    summary='Two 2-D pictures of one contrast',
    suits='X-ray, photographs, single slices, sections of one stain',
)
