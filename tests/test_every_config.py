"""Every config of ``configs/``, really run: trained, validated, resumed, tested, used on files, packaged.

Data are made in the published layouts (``tests/made``). Each config goes through the commands a user types, with
options only for what makes it short: one epoch or two iterations, two samples, no worker processes.
"""

import shutil
from pathlib import Path

import pytest
import torch

from mmreg.cli import main
from mmreg.commands.train import build_parser, stages_of
from mmreg.plugins import register_all_modules
from mmreg.utils.config import load_config, merge_options
from tests.made.layouts import LAYOUTS, SHAPE, STACK, make
from tests.made.shortened import short
from tests.made.volumes import anatomy, put

FOLDER = Path(__file__).parents[1] / 'configs'
CONFIGS = sorted(FOLDER.glob('*.py'))
PRESETS = [path for path in CONFIGS if path.stem.startswith('register_')]
CLASSICAL = [path for path in CONFIGS if path.stem.startswith('spine_elastix')]
TRAINED = [path for path in CONFIGS if path not in PRESETS and path not in CLASSICAL]
#: Challenge of a data set, what lists its pairs, and the layout in which inference writes them; without a layout the
#: fields of the test run are packed.
CHALLENGES = {
    'LUMIR': ('lumir', 'LUMIR_dataset.json', 'lumir'),
    'LUMIR25': ('lumir25', 'LUMIR25_dataset.json', 'lumir'),
    'NLST': ('learn2reg', 'NLST_dataset.json', 'learn2reg'),
    'AbdomenCTCT': ('learn2reg', 'AbdomenCTCT_dataset.json', 'learn2reg'),
    'OASIS': ('oasis2021', 'val', None),
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope='session')
def data(tmp_path_factory):
    register_all_modules()
    return tmp_path_factory.mktemp('published')


@pytest.fixture(autouse=True)
def surroundings(data, monkeypatch):
    monkeypatch.setenv('MMREG_DATA', str(data))
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')


def data_of(cfg, loader='test_dataloader'):
    """Folder below MMREG_DATA, None where a config makes its data itself."""
    name = Path((cfg[loader].dataset or {}).get('data_root', '')).name
    return name if name in LAYOUTS else None


def run(*arguments):
    code = main([str(argument) for argument in arguments])
    assert code == 0, f'mmreg {" ".join(map(str, arguments))} ended with {code}'


#: Two images below the folder of a data set, such as a user of its configs has: fixed, moving.
FILES = {
    'LUMIR': ('imagesVal/LUMIRMRI_3455_0000', 'imagesVal/LUMIRMRI_3454_0000'),
    'LUMIR25': ('imagesVal/LUMIRMRI_3455_0000', 'imagesVal/LUMIRMRI_3454_0000'),
    'AbdomenCTCT': ('img/img0024', 'img/img0025'),
    'NLST': ('imagesTr/NLST_0101_0000', 'imagesTr/NLST_0101_0001'),
    'UKBB': ('test/D3H4L6/sa_ED', 'test/D3H4L6/sa_ES'),
    'MMs': ('test/D3H4L6/ED_img', 'test/D3H4L6/ES_img'),
    'MMs2': ('test/D3H4L6/ED_img', 'test/D3H4L6/ES_img'),
    'CamCAN': ('test/CC5/T1_brain', 'test/CC6/T1_brain'),
    'SpineCTMR': ('test/005/mr_t1', 'test/005/ct'),
    'pairs': ('scan2', 'scan3'),
}
#: ACDC's by the number of axes of the model: prepared volumes, or frames as they are distributed.
HEARTS = {
    3: ('test/patient101_ed_img', 'test/patient101_es_img'),
    2: ('testing/patient101/patient101_frame01', 'testing/patient101/patient101_frame04'),
}


def files_of(cfg, folder):
    """Two files such as a user of this config has: fixed, moving."""
    name, ndim = data_of(cfg), cfg.model.get('ndim', 3)
    if name == 'ACDC' or name in FILES:
        return [folder / name / f'{file}.nii.gz' for file in FILES.get(name, HEARTS[ndim])]
    # Pickles and simulated data: any two scans with intensities from 0 to 1, as these have.
    shape, spacing = (SHAPE, 1.0) if ndim == 3 else (STACK, (1.8, 1.8, 10.0))
    return [put(folder / 'plain' / f'{ndim}_{seed}.nii.gz', anatomy(seed, shape)[0], spacing) for seed in (5, 6)]


@pytest.mark.parametrize('path', TRAINED, ids=lambda p: p.stem)
def test_config(path, data, tmp_path, capsys):
    cfg = load_config(path)
    name = data_of(cfg)
    folder = data / name if name else None
    for loader in ('train_dataloader', 'test_dataloader'):  # trained and tested on two data sets, some of them
        if used := data_of(cfg, loader):
            make(data, used)
    work = tmp_path / 'work'
    start = []
    if cfg.get('first_stage'):  # says so before anything else, then is given what it asks for
        options, _ = short(cfg, 1)
        assert main(['train', str(path), '--work-dir', str(work), '--cfg-options', *options]) == 2
        assert 'train-stages' in capsys.readouterr().err and not work.exists()
        start = [f'load_from={first_weights(path, tmp_path)}']
    length = 1 if 'max_epochs' in cfg.train_cfg else 2
    options, unit = short(cfg, length)
    start += labelled(cfg, name)
    run('train', path, '--work-dir', work, '--cfg-options', *options, *start)
    assert (work / f'{unit}_{length}.pth').is_file()
    options, _ = short(cfg, 2 * length)
    run('train', path, '--work-dir', work, '--resume', '--cfg-options', *options, *start)
    checkpoint = work / f'{unit}_{2 * length}.pth'
    assert checkpoint.is_file()
    model = [option for option in options if option.startswith('model.')]
    tested = [*model, *(option for option in options if option.startswith('test_dataloader'))]
    used = ['--cfg-options', *model] if model else []
    fields = ['--save-fields', tmp_path / 'saved']
    run('test', path, checkpoint, '--work-dir', work, '--out', tmp_path / 'test', *fields, '--cfg-options', *tested)
    assert list((tmp_path / 'saved').glob('*.nii.gz'))
    assert (tmp_path / 'test' / 'summary.json').is_file()
    fixed, moving = files_of(cfg, data)
    prompt = [*prompt_option(cfg), prompt_of(fixed, data, cfg.model.label_values - 1)] if prompt_option(cfg) else []
    pair = ('--fixed', fixed, '--moving', moving, '--out', tmp_path / 'infer', *prompt)
    run('infer', path, '-c', checkpoint, *pair, *used)
    assert (tmp_path / 'infer' / 'report.html').is_file()
    if name in CHALLENGES:
        pack(path, checkpoint, folder, tmp_path, used)
    shutil.rmtree(tmp_path)  # states of hundreds of configs are gigabytes


def pack(path, checkpoint, folder, tmp_path, used):
    """The archive of the data set's challenge, from the list of pairs as the challenge ships it."""
    challenge, pairs, layout = CHALLENGES[folder.name]
    fields = tmp_path / 'saved'
    if layout:
        fields = tmp_path / 'fields'
        files = ('--pairs', folder / pairs, '--layout', layout, '--out', fields)
        run('infer', path, '-c', checkpoint, *files, *used)
    form = ('--challenge', challenge, '--dataset', folder / pairs)
    run('package', fields, *form, '-o', tmp_path / 'submission.zip')
    run('package', tmp_path / 'submission.zip', *form)


def first_weights(path, tmp_path):
    """Weights as the stage before ends with, untrained."""
    from mmreg.registry import REGISTRARS

    before = stages_of(str(path))[-2]
    cfg = load_config(before)
    options, _ = short(cfg, 1)
    merge_options(cfg, build_parser().parse_args([before, '--cfg-options', *options]).cfg_options)
    model = REGISTRARS.build(cfg.model)
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, tmp_path / 'first.pth')
    return tmp_path / 'first.pth'


def labelled(cfg, name):
    """Of one's own pairs those with labels, where a loss looks at them."""
    overlap = cfg.model.losses.get('overlap')
    return ['train_dataloader.dataset.ann_file=labelled.csv'] if name == 'pairs' and overlap else []


def prompt_option(cfg):
    """What a user of this config has to give besides the two images."""
    if cfg.model.flow_head.get('prompt') == 'fixed_labels':
        return ['--fixed-labels']
    return ['--fixed-prompt'] if 'SegmentPrompt' in str(cfg.get('test_dataloader')) else []


def prompt_of(fixed, data, labels):
    """The label map of a segmenter for the fixed image."""
    known = fixed.parents[1] / 'prompts' / fixed.name
    if known.is_file():
        return known
    return put(data / 'prompts' / f'{labels}.nii.gz', anatomy(5, SHAPE, labels)[1])


@pytest.mark.parametrize('path', PRESETS, ids=lambda p: p.stem)
def test_preset(path, data, tmp_path):
    brain = make(data, 'LUMIR') / 'imagesVal'
    fixed, moving = (brain / f'LUMIRMRI_{n}_0000.nii.gz' for n in (3455, 3454))
    run('register', fixed, moving, '--preset', path, '--out', tmp_path / 'out')
    assert (tmp_path / 'out' / 'report.html').is_file()
