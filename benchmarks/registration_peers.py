"""One peer on one pair of files: writes its displacement field (ITK convention) and its times. No mmreg in here.

    python registration_peers.py PEER FIXED MOVING FIELD.nii.gz THREADS

Prints one line of JSON: seconds and CPU seconds of the registration alone, or the reason why it could not run.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

THREADS = sys.argv[5] if len(sys.argv) > 5 else '2'
for name in ('ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS', 'OMP_NUM_THREADS'):
    os.environ[name] = THREADS  # read when the libraries are loaded


def greedy(fixed, moving, field, metric='NCC 4x4x4'):
    from picsl_greedy import Greedy3D

    run = Greedy3D()
    command = f'-d 3 -m {metric} -i {fixed} {moving} -o {field} -n 100x50x10 -threads {THREADS} -V 0'
    return lambda: run.execute(command)


def greedy_nmi(fixed, moving, field):
    return greedy(fixed, moving, field, 'NMI')


def ants_syn(fixed, moving, field, metric='CC'):
    import ants

    images = ants.image_read(fixed), ants.image_read(moving)

    def run():
        kind = {'CC': dict(syn_metric='CC', syn_sampling=4), 'MI': dict(syn_metric='mattes', syn_sampling=32)}[metric]
        found = ants.registration(*images, type_of_transform='SyNOnly', initial_transform='Identity', **kind)
        warp = next(path for path in found['fwdtransforms'] if 'Warp' in path)
        Path(field).write_bytes(Path(warp).read_bytes())

    return run


def ants_mi(fixed, moving, field):
    return ants_syn(fixed, moving, field, 'MI')


def demons(fixed, moving, field):
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(int(THREADS))
    target, source = (sitk.ReadImage(path, sitk.sitkFloat32) for path in (fixed, moving))

    def run():
        matched = sitk.HistogramMatching(source, target, 256, 15, True)
        result = None
        for shrink, iterations in ((4, 60), (2, 40), (1, 20)):
            factors = [min(shrink, max(1, n // 8)) for n in target.GetSize()]
            small = [sitk.Shrink(sitk.SmoothingRecursiveGaussian(i, 0.5 * shrink), factors) for i in (target, matched)]
            method = sitk.DiffeomorphicDemonsRegistrationFilter()
            method.SetNumberOfIterations(iterations)
            method.SetStandardDeviations(1.5)
            if result is None:
                result = method.Execute(*small)
            else:
                result = method.Execute(*small, sitk.Resample(result, small[0]))
        sitk.WriteImage(sitk.Cast(sitk.Resample(result, target), sitk.sitkVectorFloat32), field)

    return run


def elastix(fixed, moving, field):
    import itk

    target, source = (itk.imread(path, itk.F) for path in (fixed, moving))
    parameters = itk.ParameterObject.New()
    parameters.AddParameterMap(parameters.GetDefaultParameterMap('bspline', 4))

    def run():
        itk.set_nthreads(int(THREADS))
        _, found = itk.elastix_registration_method(target, source, parameter_object=parameters, log_to_console=False)
        with tempfile.TemporaryDirectory() as folder:
            itk.imwrite(itk.transformix_deformation_field(source, found, output_directory=folder), field)

    return run


def convex_adam(fixed, moving, field):
    import numpy as np
    import SimpleITK as sitk
    import torch
    from convexAdam.convex_adam_MIND import convex_adam_pt

    torch.set_num_threads(int(THREADS))
    image = sitk.ReadImage(fixed)
    target, source = (
        sitk.GetArrayFromImage(sitk.ReadImage(path, sitk.sitkFloat32)).transpose(2, 1, 0).copy()
        for path in (fixed, moving)
    )

    def run():
        voxels = np.asarray(convex_adam_pt(target, source, dtype=torch.float32, device=torch.device('cpu')))
        matrix = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
        vectors = (voxels.astype(np.float32) @ matrix.T).transpose(2, 1, 0, 3)
        result = sitk.GetImageFromArray(vectors.astype(np.float32), isVector=True)
        result.CopyInformation(image)
        sitk.WriteImage(result, field)

    return run


PEERS = {
    'greedy': greedy,
    'greedy-nmi': greedy_nmi,
    'ants': ants_syn,
    'ants-mi': ants_mi,
    'demons': demons,
    'convexadam': convex_adam,
    'elastix': elastix,
}


def main():
    peer, fixed, moving, field = sys.argv[1:5]
    try:
        run = PEERS[peer](fixed, moving, field)
    except ImportError as error:
        return {'missing': str(error)}
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return {'seconds': time.perf_counter() - wall, 'cpu': time.process_time() - processor}


if __name__ == '__main__':
    print(json.dumps(main()))
