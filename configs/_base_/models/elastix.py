# The classical comparison of the spine system: elastix, rigid and then B-spline with the rigidity penalty inside the
# vertebrae of the CT. Needs `pip install "mmreg[elastix]"`; nothing to train.
model = dict(type='ElastixRegistrar')
