"""One peer with its own affine on one pair of files: writes the whole map as an ITK displacement field. No mmreg here.

    python any_pair_peers.py PEER FIXED MOVING FIELD.nii.gz THREADS

Prints one line of JSON: seconds and CPU seconds, or the reason why it could not run.
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


def dimension(path):
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(path)
    reader.ReadImageInformation()
    return reader.GetDimension()


def greedy(fixed, moving, field, metric='NCC', width=4):
    import picsl_greedy

    ndim = dimension(fixed)
    run = (picsl_greedy.Greedy3D if ndim == 3 else picsl_greedy.Greedy2D)()
    kind = f'NCC {"x".join([str(width)] * ndim)}' if metric == 'NCC' else metric
    images = f'-i {fixed} {moving} -threads {THREADS} -V 0'
    with tempfile.TemporaryDirectory() as work:
        run.execute(f'-d {ndim} -a -m {kind} {images} -ia-image-centers -n 100x50x10 -o {work}/affine.mat')
        run.execute(f'-d {ndim} -m {kind} {images} -it {work}/affine.mat -n 100x50x10 -o {work}/warp.nii.gz')
        run.execute(
            f'-d {ndim} -rf {fixed} -r {work}/warp.nii.gz {work}/affine.mat -rc {field} -threads {THREADS} -V 0'
        )


def greedy_nmi(fixed, moving, field):
    greedy(fixed, moving, field, 'NMI')


def ants_syn(fixed, moving, field, kind='SyN'):
    import ants

    images = ants.image_read(fixed), ants.image_read(moving)
    found = ants.registration(*images, type_of_transform=kind)
    with tempfile.TemporaryDirectory() as work:
        composed = ants.apply_transforms(*images, transformlist=found['fwdtransforms'], compose=f'{work}/all_')
        Path(field).write_bytes(Path(composed).read_bytes())


def ants_cc(fixed, moving, field):
    ants_syn(fixed, moving, field, 'SyNCC')


def elastix(fixed, moving, field):
    import itk

    target, source = (itk.imread(path, itk.F) for path in (fixed, moving))
    parameters = itk.ParameterObject.New()
    for kind in ('rigid', 'affine', 'bspline'):
        parameters.AddParameterMap(parameters.GetDefaultParameterMap(kind, 4))
    itk.set_nthreads(int(THREADS))
    _, found = itk.elastix_registration_method(target, source, parameter_object=parameters, log_to_console=False)
    with tempfile.TemporaryDirectory() as folder:
        itk.imwrite(itk.transformix_deformation_field(source, found, output_directory=folder), field)


PEERS = {'greedy': greedy, 'greedy-nmi': greedy_nmi, 'ants': ants_syn, 'ants-cc': ants_cc, 'elastix': elastix}


def main():
    peer, fixed, moving, field = sys.argv[1:5]
    wall, processor = time.perf_counter(), time.process_time()
    try:
        PEERS[peer](fixed, moving, field)
    except ImportError as error:
        return {'missing': str(error)}
    return {'seconds': time.perf_counter() - wall, 'cpu': time.process_time() - processor}


if __name__ == '__main__':
    print(json.dumps(main()))
