"""Every reader of files, with files that it can read: what the fuzz damages. A reader that is not here fails a test."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from mmreg.commands.analyze_logs import read_log
from mmreg.converters import FAMILIES, extract_weights
from mmreg.converters.files import convert_weights
from mmreg.converters.keras_files import read_keras
from mmreg.datasets.learn2reg import Learn2RegDataset
from mmreg.datasets.learn2reg import read_json as read_dataset_json
from mmreg.datasets.pairs import read_pair_rows
from mmreg.evaluation.challenge import config as challenge
from mmreg.evaluation.challenge.fields import read_field
from mmreg.evaluation.challenge.fields import read_header as read_field_header
from mmreg.evaluation.challenge.package import read_prediction
from mmreg.io import (
    Geometry,
    affine_transform,
    displacement_transform,
    read_displacement_image,
    read_geometry,
    read_image_header,
    read_landmarks,
    read_learn2reg_nifti,
    read_learn2reg_npz,
    read_npz,
    read_transform,
    read_volume,
    restricted_load,
    write_learn2reg_npz,
)
from mmreg.io.archives import open_archive
from mmreg.io.cine import phases
from mmreg.io.csv_text import read_dicts, read_plain_text
from mmreg.io.dicom.series import is_dicom_file, read_dicom_file
from mmreg.io.foreign import FORMATS, Spaces, read_any, write_as
from mmreg.io.label_tables import read_label_names
from mmreg.io.learn2reg import read_note
from mmreg.io.meshes import read_mesh
from mmreg.io.tables import read_rows
from mmreg.populations.kept import read_state
from mmreg.populations.scans import read_scans
from mmreg.populations.statistics.compare import read_groups
from mmreg.registration.alignment import read_affine
from mmreg.registration.cohort.cases import read_cases
from mmreg.registration.cohort.done import read_done
from mmreg.registration.cohort.engines.shares import read_share
from mmreg.registration.cohort.summary import summary_lines
from mmreg.registration.inputs.images import load_image
from mmreg.registration.presets.preset import load_preset
from mmreg.registration.results.folder import read_marker
from mmreg.text import get_label_set
from mmreg.text.prompts import prompts_of
from mmreg.text.table import TextTable
from mmreg.utils.checkpoint import check_architecture, load_weights, read_checkpoint, weights_of
from mmreg.utils.config import load_config
from mmreg.utils.data_config import load_data_config
from mmreg.utils.text_files import read_json, read_text, read_yaml
from tests.converters import keras_reference

SHAPE = (9, 8, 7)
SPACES = Spaces(Geometry.from_parts(SHAPE), Geometry.from_parts(SHAPE, (1.5, 1.5, 1.5)))
MATRICES = {
    'fsl': '.mat', 'freesurfer': '.lta', 'afni': '.aff12.1D', 'niftyreg': '.txt', 'ras': '.txt', 'elastix': '.0.txt',
}  # fmt: skip
FIELD_FORMS = ('fsl', 'niftyreg', 'spm', 'afni')


def extend(folder):
    """Files beside those of :mod:`tests.trust.material` that only some readers take."""
    import pickle

    import SimpleITK as sitk

    from tests.trust.material import image

    folder = Path(folder)
    rng = np.random.default_rng(0)
    np.savez(folder / 'arrays.npz', image=rng.random(SHAPE, np.float32), labels=np.arange(8))
    with open(folder / 'arrays.pkl', 'wb') as file:
        pickle.dump((rng.random((6, 5), np.float32), np.arange(30).reshape(6, 5)), file)
    write_learn2reg_npz(folder / 'disp_0001_0002.npz', rng.normal(size=(3, *SHAPE)) * 0.1)
    volume = image(SHAPE, seed=1)
    for ending in ('nii', 'nii.gz', 'nrrd', 'mha', 'mhd', 'img'):
        sitk.WriteImage(volume, str(folder / f'volume.{ending}'), useCompression=ending in ('nrrd', 'mha', 'mhd'))
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(120, dtype=np.uint16).reshape(12, 10)), str(folder / 'slice.dcm'))
    (folder / 'scalars.log').write_text('{"loss": 1.5, "step": 1}\n{"loss": 1.25, "step": 2}\n')
    nib.save(nib.MGHImage(rng.random(SHAPE, np.float32), np.eye(4)), folder / 'volume.mgz')
    position = {'position': [1.0, 2.0, 3.0], 'label': 'a'}
    markup = {'markups': [{'coordinateSystem': 'LPS', 'controlPoints': [position, position]}]}
    (folder / 'points.mrk.json').write_text(json.dumps(markup))
    (folder / 'points.fcsv').write_text('# CoordinateSystem = LPS\n# columns = id,x,y,z,label\n1,1.5,2,3,a\n')
    (folder / 'voxels.csv').write_text('1,2,3\n4,5,6.5\n')
    (folder / 'rows.csv').write_text('case_id,metric,item,value,initial\na,dice,1,0.5,0.4\nb,dice,2,0.7,\n')
    (folder / 'Info.cfg').write_text('ED: 1\nES: 9\nHeight: 170\n')
    (folder / 'labels.json').write_text(json.dumps({'1': 'left kidney', '2': 'liver'}))
    (folder / 'names.json').write_text(json.dumps({'17': 'Left-Hippocampus', '18': 'Other'}))
    (folder / 'labels.yaml').write_text('name: mine\nlabels:\n  1: left kidney\n  2: liver\n')
    (folder / 'lut.txt').write_text('# No. Name R G B A\n17 Left-Hippocampus 220 216 20 0\n18 Other 1 2 3 0\n')
    (folder / 'snap.txt').write_text('17 255 0 0 1 1 1 "Left Hippocampus"\n18 0 0 255 1 1 1 "Other"\n')
    (folder / 'dseg.tsv').write_text('index\tname\n17\tLeft-Hippocampus\n18\tOther\n')
    (folder / 'prompts.json').write_text(json.dumps({'left kidney': 'a kidney', 'liver': 'a liver'}))
    (folder / 'preset.json').write_text(json.dumps(_preset()))
    (folder / 'plan.json').write_text(json.dumps({'files': ['plan.json'], 'metrics': {}, 'request': 'x'}))
    (folder / 'scans.csv').write_text('image,scan_id,weight\nfixed.nii.gz,a,1\nmoving.nii.gz,b,2\n')
    (folder / 'groups.csv').write_text('scan_id,group\na,x\nb,y\n')
    case = {'case_id': 'a', 'fixed': {'id': 'f', 'image': 'f.nii'}, 'moving': {'id': 'm', 'image': 'm.nii'}}
    how = {'out_dir': 'out', 'affine': 'auto', 'batch_size': 1}
    job = {'options': {'seed': 1}, 'how': how, 'key': '1', 'cases': [case]}
    (folder / 'job.json').write_text(json.dumps(job))
    line = {'case_id': 'a', 'fixed': 'f.nii', 'preset': None, 'seconds': 1.5, 'dice': 1}
    done = {'case': 'a', 'request': 'x', 'stamp': 1, 'line': line, 'files': ['plan.json']}
    (folder / 'done.jsonl').write_text(json.dumps(done) + '\n' + json.dumps({**done, 'case': 'b'}) + '\n')
    (folder / 'train.csv').write_text('fixed,moving\nfixed.nii.gz,moving.nii.gz\n')
    (folder / 'comma.csv').write_text('fixed;moving;case_id\nfixed.nii.gz;moving.nii.gz;a\n')
    TextTable(rng.random((2, 4)).astype(np.float32), ('a', 'b'), ('x', 'y'), {'encoder': 'e'}).save(
        folder / 'table.npz'
    )
    weights = {f'{name}.weight': torch.rand(2, 3) for name in 'ab'}
    torch.save({'state_dict': weights, 'config': {'type': 'x'}}, folder / 'foreign.pth')
    torch.save(torch.nn.Linear(3, 2).state_dict(), folder / 'linear.pth')
    _write_foreign(folder)
    _write_meshes(folder)
    made = keras_reference.made_weights(encoder=(2,), decoder=(2, 2), ndim=2)
    keras_reference.write(folder / 'keras.h5', made, config={'int_steps': 5})
    torch.save({'a': torch.rand(3), 'b': np.arange(3)}, folder / 'legacy.pth', _use_new_zipfile_serialization=False)


def _write_foreign(folder):
    """A matrix and a field of every program, by names that say whose they are."""
    affine = affine_transform(np.diag([1.1, 0.9, 1.0, 1.0]))
    field = displacement_transform(np.full((3, *SHAPE), 0.5), SPACES.fixed)
    for form, ending in MATRICES.items():
        write_as(folder / f'{form}_matrix{ending}', affine, form, SPACES)
    for form in FIELD_FORMS:
        write_as(folder / f'{form}_field.nii.gz', field, form, SPACES)


def _write_meshes(folder):
    from tests.io import test_meshes as made

    made.vtk(folder / 'mesh.vtk', 'BINARY')
    made.vtk(folder / 'text.vtk')
    made.ply(folder / 'mesh.ply', 'binary_little_endian')
    made.stl(folder / 'mesh.stl', 'binary')
    made.gifti(folder / 'mesh.gii')


def _foreign(path):
    form = path.name.partition('_')[0]
    return read_any(path, SPACES, form if form in FORMATS else None)


def _preset():
    model = {
        'type': 'Registrar', 'ndim': 2, 'backbone': {'type': 'ImagePyramid', 'levels': 1, 'any_size': True},
        'flow_head': {'type': 'FreeField', 'update': 'compose'}, 'integrator': {'type': 'IdentityIntegrator'},
        'losses': {'similarity': {'type': 'LNCC', 'window': 5, 'weight': 1.0}},
    }  # fmt: skip
    return {'model': model, 'optimisation': {'levels': [{'scale': 1, 'iterations': 1}], 'step': 0.5}}


def _weights(path):
    model = torch.nn.ModuleDict({name: torch.nn.Linear(3, 2, bias=False) for name in 'ab'})
    check_architecture(model, weights_of(read_checkpoint(path)), path)


def _converted(path):
    content = read_checkpoint(path)
    published = extract_weights(content, str(path))
    for family in FAMILIES.values():
        try:
            family.model(convert_weights(family, published, path), content, str(path))
        except Exception as error:
            from mmreg.errors import InputError

            if not isinstance(error, InputError):
                raise


def _linear(path):
    return load_weights(torch.nn.Linear(3, 2), path)


def _archived(path):
    with open_archive(path) as archive:
        return [archive.read(name) for name in archive.namelist()]


def _dataset(path):
    return Learn2RegDataset(str(path), data_root=str(Path(path).parent), split='validation', lazy_init=True).index()


def _done(path):
    return summary_lines([line['line'] for line in read_done(path).values()])


def _prompts(path):
    return prompts_of(get_label_set({'labels': {1: 'left kidney', 2: 'liver'}}), {'file': str(path)})


IMAGES = [
    'fixed.nii.gz', 'fixed.nii', 'fixed.nrrd', 'fixed.mha', 'volume.nii', 'volume.nii.gz', 'volume.nrrd', 'volume.mha',
    'volume.mhd', 'volume.img', 'volume.mgz', 'fixed_labels.nii.gz',
]  # fmt: skip
LABELS = ['fixed_labels.nii.gz', 'labelsTr/X_0001_0000.nii.gz', 'fixed_mask.nii.gz']
FIELDS = ['sub/disp_0001_0002.nii.gz', 'disp_0001_0002.npz']
CHECKPOINTS = ['net.pth', 'linear.pth', 'foreign.pth', 'legacy.pth']
#: Name of a reader -> the function, and the files that it reads.
READERS = {
    'read_volume': (read_volume, IMAGES),
    'read_labels': (lambda path: read_volume(path, 'labels'), LABELS),
    'read_mask': (lambda path: read_volume(path, 'mask'), LABELS),
    'read_geometry': (read_geometry, IMAGES),
    'read_image_header': (read_image_header, IMAGES),
    'load_image': (lambda path: load_image(str(path), 'fixed'), IMAGES),
    'is_dicom_file': (is_dicom_file, ['fixed.nii.gz']),
    'read_displacement_image': (read_displacement_image, ['field.nii.gz', 'field.nrrd', 'field.mha']),
    'read_transform': (
        read_transform, ['affine.tfm', 'affine.h5', 'composite.tfm', 'composite.h5', 'matrix.txt', 'field.nii.gz'],
    ),
    'read_any': (
        _foreign,
        [f'{f}_matrix{e}' for f, e in MATRICES.items()] + [f'{f}_field.nii.gz' for f in FIELD_FORMS],
    ),
    'read_affine': (read_affine, ['matrix.txt', 'affine.tfm']),
    'read_mesh': (read_mesh, ['mesh.vtk', 'text.vtk', 'mesh.ply', 'mesh.stl', 'mesh.gii']),
    'read_landmarks': (read_landmarks, ['fixed_points.csv', 'points.mrk.json', 'points.fcsv', 'voxels.csv']),
    'read_learn2reg_nifti': (lambda path: read_learn2reg_nifti(path, SHAPE), FIELDS[:1]),
    'read_learn2reg_npz': (lambda path: read_learn2reg_npz(path, SHAPE), FIELDS[1:]),
    'read_note': (read_note, FIELDS),
    'read_dicom_file': (read_dicom_file, ['slice.dcm']),
    'read_log': (read_log, ['scalars.log']),
    'read_npz': (read_npz, ['arrays.npz']),
    'restricted_load': (restricted_load, ['arrays.pkl']),
    'open_archive': (_archived, ['sub.zip', 'arrays.npz']),
    'read_rows': (read_rows, ['rows.csv']),
    'read_dicts': (lambda path: read_dicts(path, 'a table'), ['pairs.csv', 'comma.csv', 'rows.csv']),
    'read_plain_text': (lambda path: read_plain_text(path, 'text'), ['pairs.csv']),
    'phases': (phases, ['Info.cfg']),
    'read_cases': (read_cases, ['pairs.csv', 'pairs.json', 'dataset.json', 'train.csv', 'comma.csv']),
    'read_scans': (lambda path: read_scans([path]), ['scans.csv']),
    'read_groups': (read_groups, ['groups.csv']),
    'read_share': (lambda path: read_share(path, {}, []), ['job.json']),
    'read_done': (_done, ['done.jsonl']),
    'read_state': (lambda path: read_state(path, 'x'), ['plan.json']),
    'read_pair_rows': (read_pair_rows, ['pairs.csv', 'pairs.json']),
    'read_dataset_json': (read_dataset_json, ['dataset.json']),
    'Learn2RegDataset': (_dataset, ['dataset.json']),
    'read_evaluation_config': (challenge.read_config, ['evaluation_config.json']),
    'read_field': (lambda path: read_field(path, SHAPE), FIELDS),
    'read_field_header': (read_field_header, FIELDS),
    'read_prediction': (lambda path: read_prediction(path, SHAPE), FIELDS),
    'read_checkpoint': (read_checkpoint, CHECKPOINTS),
    'read_keras': (read_keras, ['keras.h5']),
    'weights': (_weights, CHECKPOINTS),
    'load_weights': (_linear, CHECKPOINTS),
    'converters': (_converted, CHECKPOINTS),
    'load_config': (load_config, ['preset.json', 'labels.yaml']),
    'load_data_config': (load_data_config, ['preset.json', 'labels.yaml']),
    'load_preset': (load_preset, ['preset.json']),
    'read_marker': (lambda path: read_marker(Path(path).parent), ['plan.json']),
    'read_label_names': (read_label_names, ['lut.txt', 'snap.txt', 'dseg.tsv', 'names.json']),
    'get_label_set': (lambda path: get_label_set(str(path)), ['labels.json', 'labels.yaml']),
    'prompts': (_prompts, ['prompts.json']),
    'TextTable': (TextTable.load, ['table.npz']),
    'read_text': (read_text, ['pairs.csv']),
    'read_json': (read_json, ['dataset.json', 'plan.json']),
    'read_yaml': (read_yaml, ['labels.yaml']),
}  # fmt: skip

#: Functions of that kind which read nothing themselves, or what they are given is in memory or a program.
ELSEWHERE = {
    'read_image': 'read_volume',
    'read_mosaics': 'read_dicom_file',
    'read_series': 'read_scans, read_image_header, read_volume',
    'read_jacobian': 'read_volume',
    'read_matrix': 'read_transform',
    'read_config': 'registration: load_config; evaluation: read_evaluation_config',
    'read_pair': 'read_volume, read_labels, read_mask, read_landmarks',
    'load_labels': 'read_labels',
    'load_mask': 'read_mask',
    'load_landmarks': 'read_landmarks',
    'load_points': 'read_landmarks',
    'load_moving': 'read_volume',
    'load_chain': 'read_transform',
    'load_transform': 'read_transform',
    'read_published': 'read_checkpoint and read_keras',
    'load_model': 'load_config and read_checkpoint',
    'load_entry_points': 'installed packages',
    'load_plugin': 'a program by purpose',
    'load_itk': 'a package',
    'load_from_local': 'read_checkpoint',
    'load_from_http': 'read_checkpoint',
    'load_from_elsewhere': 'refuses',
    'read_sitk': 'read_volume',
    'read_frames': 'read_dicom_file',
    'read_slice_headers': 'read_dicom_file',
    'read_file': 'read_volume',
    'read_header': 'read_image_header',
    'read_nifti': 'read_volume',
    'read_nifti_header': 'read_image_header',
    'read_mgh': 'read_volume',
    'read_mgh_header': 'read_image_header',
    **dict.fromkeys(
        (
            'read_elastix',
            'read_itk_transform',
            'read_lta',
            'read_matrices',
            'read_matrix',
            'read_niftyreg_field',
            'read_ras_displacement',
            'read_ras_matrix',
            'read_spm_field',
            'read_warp',
        ),
        'read_any',
    ),
    'read_content': 'read_mesh',
    'read_dicom_series': 'folders of DICOM: tests/io/test_dicom.py',
}
