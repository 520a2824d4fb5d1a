"""Every data set in its published layout: real names, few and small volumes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mmreg.datasets.ixi import FREESURFER
from mmreg.datasets.numbered import ACDCDataset
from mmreg.io import read_labels

from .lumir import SHAPE, make_lumir, scan
from .lumir import name as brain
from .volumes import anatomy, put, put_json, put_pickle, put_points

#: Voxels of a short-axis stack.
STACK = (64, 64, 6)


def lumir(root: Path) -> Path:
    """The challenge's JSON: unlabelled training, unlabelled pairs under ``validation``, sanity-check labels."""
    return make_lumir(root, training=3, sanity=2)


def lumir25(root: Path) -> Path:
    """The challenge's JSON of 2025: pairs of the domain of 2024, of high field, and of two contrasts."""
    training = range(3)
    pairs = [((3455, 0), (3454, 0)), ((4015, 0), (4014, 0)), ((4024, 0), (4023, 1)), ((3485, 0), (3484, 0))]
    for number in training:
        put(root / 'imagesTr' / brain(number), scan(number))
    for number, contrast in {image for pair in pairs for image in pair}:
        array = scan(number)
        array = (array.max() - array) * (array > 0) if contrast else array
        put(root / 'imagesVal' / brain(number, contrast), array)
    content = {
        'name': 'LUMIR', 'release': '0.1', 'pairings': 'unpaired', 'tensorImageShape': {'0': list(SHAPE)},
        'numTraining': len(training), 'training': [{'image': f'./imagesTr/{brain(n)}'} for n in training],
        'numValidation': len(pairs),
        'validation': [
            {'fixed': f'./imagesVal/{brain(*fixed)}', 'moving': f'./imagesVal/{brain(*moving)}'}
            for fixed, moving in pairs
        ],
    }  # fmt: skip
    put_json(root / 'LUMIR25_dataset.json', content)
    return root


def oasis(root: Path) -> Path:
    """The pickles of the TransMorph authors: subjects for training, pairs for validation."""
    for number in (1, 2, 3):
        put_pickle(root / 'train' / f'p_{number:04d}.pkl', *_labelled(number, 35))
    for fixed, moving in ((438, 439), (439, 440)):
        (x, x_labels), (y, y_labels) = _labelled(moving, 35), _labelled(fixed, 35)
        put_pickle(root / 'val' / f'p_{fixed:04d}_{moving:04d}.pkl', x, y, x_labels, y_labels)
    for number in (1, 2, 3, 438, 439, 440):  # label maps of a segmenter, for prompted models
        put(root / 'prompts' / f'{number:04d}.nii.gz', _labelled(number, 35)[1])
    return root


def _labelled(seed: int, labels: int) -> tuple[np.ndarray, np.ndarray]:
    return anatomy(seed, SHAPE, labels)


def ixi(root: Path) -> Path:
    """The pickles of the TransMorph authors with FreeSurfer's label values."""
    values = np.array((0, *FREESURFER))

    def write(path: Path, seed: int) -> None:
        image, labels = anatomy(seed, SHAPE, 45)
        put_pickle(path, image, values[labels].astype(np.int16))

    write(root / 'atlas.pkl', 0)
    for seed, folder in enumerate(('Train', 'Train', 'Val', 'Test'), start=1):
        write(root / folder / f'subject_{seed}.pkl', seed)
    return root


def abdomenctct(root: Path) -> Path:
    """30 numbered CTs in Hounsfield units at 2 mm, and a JSON that lists some pairs of the test split."""
    for number in range(1, 31):
        image, labels = anatomy(number, (48, 64, 48), 13)
        put(root / 'img' / f'img{number:04d}.nii.gz', (image * 1300 - 500).astype(np.int16), 2.0)
        put(root / 'label' / f'label{number:04d}.nii.gz', labels, 2.0)
        put(root / 'prompts' / f'img{number:04d}.nii.gz', labels, 2.0)
    pairs = [
        {'fixed': f'./img/img{a:04d}.nii.gz', 'moving': f'./img/img{b:04d}.nii.gz'} for a, b in ((24, 25), (25, 24))
    ]
    put_json(root / 'AbdomenCTCT_dataset.json', {'name': 'AbdomenCTCT', 'training': [], 'registration_test': pairs})
    return root


def acdc(root: Path) -> Path:
    """As preprocessed by the MemWarp authors, two phases per patient."""
    numbers = sorted({n for split in ACDCDataset.SPLITS.values() for n in split})
    for number in numbers:
        folder = root / ('train' if number <= 100 else 'test')
        for seed, phase in enumerate(('ed', 'es')):
            image, labels = anatomy(2 * number + seed, (32, 32, 16), 3)
            put(folder / f'patient{number:03d}_{phase}_img.nii.gz', image * 400, (1.8, 1.8, 10.0))
            put(folder / f'patient{number:03d}_{phase}_seg.nii.gz', labels, (1.8, 1.8, 10.0))
    return root


def acdc_distributed(root: Path, patients: tuple[int, ...] = (1, 2, 18, 101, 102)) -> Path:
    """As ACDC's own site ships it: a folder per patient with ``Info.cfg``, the frames, and the 4-D file."""
    for number in patients:
        folder = root / ('training' if number <= 100 else 'testing') / f'patient{number:03d}'
        cine(folder, f'patient{number:03d}', number)
    return root


def cine(folder: Path, name: str, seed: int, spacing: float = 1.8, frames: int = 6, ed: int = 1, es: int = 4) -> None:
    """One patient: all frames in one file, ED and ES with labels, and what says which they are."""
    moved = [anatomy(seed, STACK, 3) for _ in range(frames)]
    for number in range(1, frames):
        image, labels = moved[0]
        shift = round(2 * np.sin(np.pi * number / frames))
        moved[number] = np.roll(image, shift, 0), np.roll(labels, shift, 0)
    size = (spacing, spacing, 10.0)
    for number in (ed, es):
        image, labels = moved[number - 1]
        put(folder / f'{name}_frame{number:02d}.nii.gz', (image * 300).astype(np.int16), size)
        put(folder / f'{name}_frame{number:02d}_gt.nii.gz', labels, size)
    series = np.stack([image for image, _ in moved], -1)
    put(folder / f'{name}_4d.nii.gz', (series * 300).astype(np.int16), size)
    (folder / 'Info.cfg').write_text(
        f'ED: {ed}\nES: {es}\nGroup: NOR\nHeight: 170.0\nNbFrame: {frames}\nWeight: 70.0\n'
    )


def ukbb(root: Path) -> Path:
    """The layout of the GraDIRN release for UK Biobank."""
    return _two_frames(root, ('sa_ED', 'sa_ES', 'label_sa_ED', 'label_sa_ES'), 1.8)


def mms(root: Path) -> Path:
    """The layout of the GraDIRN release for M&Ms, with the challenge's table."""
    _two_frames(root, ('ED_img', 'ES_img', 'ED_seg', 'ES_seg'), 2.0)
    names = sorted(path.name for path in root.glob('*/*') if path.is_dir())
    rows = [f'{name},{"ABCD"[k % 4]}' for k, name in enumerate(names)]
    (root / 'information.csv').write_text('\n'.join(['External code,Vendor', *rows]) + '\n')
    return root


def _two_frames(root: Path, names: tuple[str, ...], spacing: float) -> Path:
    for seed, name in enumerate(('train/A0S9V9', 'train/B2F4K5', 'val/C1K2P5', 'test/D3H4L6')):
        image, labels = anatomy(seed, STACK, 3)
        for array, file in zip((image, np.roll(image, 2, 0), labels, np.roll(labels, 2, 0)), names):
            scaled = (array * 300).astype(np.int16) if array.dtype == np.float32 else array
            put(root / name / f'{file}.nii.gz', scaled, (spacing, spacing, 10.0))
    return root


def mms2(root: Path) -> Path:
    """M&Ms-2 as ``mmreg data prepare`` leaves it."""
    _two_frames(root, ('ED_img', 'ES_img', 'ED_seg', 'ES_seg'), 2.0)
    (root / 'information.csv').write_text('External code,Vendor\nA0S9V9,SIEMENS\n')
    return root


def mms_distributed(root: Path) -> Path:
    """M&Ms as its own site ships it: 4-D files with labels in two frames, and the table."""
    rows = ['External code,VendorName,Vendor,Centre,ED,ES']
    places = ('Training/Labeled/A0S9V9', 'Training/Labeled/B2F4K5', 'Validation/C1K2P5', 'Testing/D3H4L6')
    for seed, (place, vendor) in enumerate(zip((*places, 'Training/Unlabeled/E5J6M7'), 'ABCDA')):
        name = Path(place).name
        cine(root / place, name, seed, 1.5, ed=1, es=4)
        series = (root / place / f'{name}_4d.nii.gz').rename(root / place / f'{name}_sa.nii.gz')
        truth = np.zeros((*STACK, 6), np.int16)
        for number in (1, 4):
            file = root / place / f'{name}_frame{number:02d}_gt.nii.gz'
            truth[..., number - 1] = read_labels(file).array
        for file in (root / place).glob('*'):
            if file != series:
                file.unlink()
        if 'Unlabeled' not in place:
            put(root / place / f'{name}_sa_gt.nii.gz', truth, (1.5, 1.5, 10.0))
        rows.append(f'{name},Vendor {vendor},{vendor},1,0,3')
    (root / '211230_M&Ms_Dataset_information_diagnosis_opendataset.csv').write_text('\n'.join(rows) + '\n')
    return root


def mms2_distributed(root: Path) -> Path:
    """M&Ms-2 as its own site ships it: frames as files of their own, short and long axis."""
    rows = ['SUBJECT_CODE,DISEASE,VENDOR,SCANNER,FIELD']
    for number in (1, 2, 161, 201):
        folder, name = root / 'dataset' / f'{number:03d}', f'{number:03d}'
        for shift, phase in enumerate(('ED', 'ES')):
            image, labels = anatomy(number, STACK, 3)
            put(folder / f'{name}_SA_{phase}.nii.gz', np.roll(image, 2 * shift, 0) * 300, (1.3, 1.3, 10.0))
            put(folder / f'{name}_SA_{phase}_gt.nii.gz', np.roll(labels, 2 * shift, 0), (1.3, 1.3, 10.0))
        rows.append(f'{number},NOR,SIEMENS,Avanto,1.5')
    (root / 'dataset_information.csv').write_text('\n'.join(rows) + '\n')
    return root


def camcan(root: Path) -> Path:
    """The layout of the GraDIRN release for CamCAN."""
    for seed, name in enumerate(('train/CC1', 'train/CC2', 'val/CC3', 'val/CC4', 'test/CC5', 'test/CC6')):
        image, labels = anatomy(seed, SHAPE, 5)
        put(root / name / 'T1_brain.nii.gz', image * 900)
        put(root / name / 'T2_brain.nii.gz', (1 - image) * (labels > 0) * 700)
        put(root / name / 'T1_brain_MALPEM_tissues.nii.gz', labels)
    return root


def nlst(root: Path) -> Path:
    """The challenge's JSON: training pairs with masks and key points, validation pairs beside them."""

    def entry(subject: int) -> dict:
        names = [f'NLST_{subject:04d}_{phase:04d}' for phase in (0, 1)]
        for phase, name in enumerate(names):
            image, labels = anatomy(2 * subject + phase, SHAPE, 3)
            put(root / 'imagesTr' / f'{name}.nii.gz', (image * 1500 - 1000).astype(np.int16), 1.5)
            put(root / 'masksTr' / f'{name}.nii.gz', (labels > 0).astype(np.uint8), 1.5)
            put_points(root / 'keypointsTr' / f'{name}.csv', SHAPE, 2 * subject + phase)
            put_points(root / 'landmarksTr' / f'{name}.csv', SHAPE, 100 + 2 * subject + phase)
        return {'fixed': f'./imagesTr/{names[0]}.nii.gz', 'moving': f'./imagesTr/{names[1]}.nii.gz'}

    training, validation = [entry(n) for n in (1, 2)], [entry(n) for n in (101, 102)]
    images = [{'image': entry_[role]} for entry_ in (*training, *validation) for role in ('fixed', 'moving')]
    content = {
        'name': 'NLST', 'tensorImageShape': {'0': list(SHAPE)}, 'registration_direction': {'fixed': 0, 'moving': 1},
        'training': images, 'training_paired_images': training, 'registration_val': validation, 'test': [],
    }  # fmt: skip
    put_json(root / 'NLST_dataset.json', content)
    return root


def spine(root: Path) -> Path:
    """A folder per case; one validation case without the label map of its MR."""
    for seed, name in enumerate(('train/001', 'train/002', 'val/003', 'val/004', 'test/005')):
        image, labels = anatomy(seed, (48, 64, 48), 4)
        labels = np.where(labels > 0, labels + 17, 0).astype(np.int16)
        put(root / name / 'ct.nii.gz', (image * 1800 - 1000).astype(np.int16))
        put(root / name / 'ct_mask.nii.gz', labels)
        put(root / name / 'mr_t1.nii.gz', ((1 - image) * 500).astype(np.int16))
        if name != 'val/004':
            put(root / name / 'mr_mask.nii.gz', np.roll(labels, 1, 0))
    return root


def pairs(root: Path) -> Path:
    """Three lists; the training pairs have no labels, those of ``labelled.csv`` have."""
    for seed in range(4):
        image, labels = anatomy(seed, SHAPE, 4)
        put(root / f'scan{seed}.nii.gz', image * 700)
        put(root / f'scan{seed}_labels.nii.gz', labels)
    (root / 'train.csv').write_text('fixed,moving\nscan0.nii.gz,scan1.nii.gz\nscan1.nii.gz,scan2.nii.gz\n')
    for name in ('labelled', 'val', 'test'):
        row = 'scan2.nii.gz,scan3.nii.gz,scan2_labels.nii.gz,scan3_labels.nii.gz'
        (root / f'{name}.csv').write_text(f'fixed,moving,fixed_labels,moving_labels\n{row}\n')
    return root


#: Name of the folder below MMREG_DATA -> what fills it.
LAYOUTS: dict[str, tuple[Callable[[Path], Path], ...]] = {
    'LUMIR': (lumir,),
    'LUMIR25': (lumir25,),
    'OASIS': (oasis,),
    'IXI': (ixi,),
    'AbdomenCTCT': (abdomenctct,),
    'ACDC': (acdc, acdc_distributed),
    'UKBB': (ukbb,),
    'MMs': (mms,),
    'MMs2': (mms2,),
    'CamCAN': (camcan,),
    'NLST': (nlst,),
    'SpineCTMR': (spine,),
    'pairs': (pairs,),
}


def make(root: Path, name: str) -> Path:
    """The data set ``name`` below ``root``, made unless it is there."""
    folder = root / name
    if not folder.exists():
        for layout in LAYOUTS[name]:
            layout(folder)
    return folder
