# Two T1 brains (or any two scans of one contrast), skull-stripped or not.
_base_ = ['_base_/registration/deformable.py']

preset = dict(
    name='brain_t1',
    summary='Brain MR, both images of the same contrast',
    suits='two T1 (or two T2, two FLAIR) brains of one or of two persons',
)
