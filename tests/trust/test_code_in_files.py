"""Nothing that a checkpoint, a JSON or a YAML says is executed: it names registered parts of a kind, or nothing."""

import copy
import json
import pickle
import sys

import pytest
import torch

from mmreg.errors import CheckpointError, ConfigError
from mmreg.registration.working.preparation import find_preparation
from mmreg.utils.admit import admit
from mmreg.utils.checkpoint import read_checkpoint
from mmreg.utils.config import load_config
from mmreg.utils.shipped import config_folder
from tests.trust.material import Marker

PAIR = ('fixed.nii.gz', 'moving.nii.gz')
IMAGES = ('--fixed', 'fixed.nii.gz', '--moving', 'moving.nii.gz', '--device', 'cpu', '--outputs', 'warped')


def part(name, mark):
    return {'type': name, 'command': f'touch {mark}'}


#: What a hostile file may say where a part is expected: imports of all kinds, parts of another kind, programs.
def hostile(mark):
    return {
        'dotted': part('os.system', mark),
        'scope': {'type': 'PercentileWindow', '_scope_': 'evilmod'},
        'module': {'type': 'antigravity'},
        'own module': {'type': 'evilmod.Part'},
        'another kind': {'type': 'LNCC', 'window': 9},
        'a program': {'type': 'CommandSegmenter', 'command': ['touch', str(mark), '{input}', '{output}']},
        'a function': {'type': 'CallableSegmenter', 'function': 'os:system', 'label_set': 'oasis35'},
        'no text': {'type': 5},
        'nested': {'type': 'PercentileWindow', 'low': part('subprocess.getoutput', mark)},
        'strange argument': {'type': 'PercentileWindow', 'command': f'touch {mark}'},
    }


NAMES = sorted(hostile(''))


@pytest.fixture
def mark(work, monkeypatch):
    """A file that must not appear; a module on the path makes it when it is imported."""
    path = work / 'PWNED'
    (work / 'evilmod.py').write_text(f'open({str(path)!r}, "w")\nclass Part: pass\n')
    (work / 'evilmod_pkg').mkdir()
    monkeypatch.syspath_prepend(str(work))
    yield path
    assert not path.exists()
    assert 'evilmod' not in sys.modules and 'antigravity' not in sys.modules


def with_meta(meta):
    content = torch.load('net.pth', weights_only=True)
    torch.save({**content, 'meta': {**content['meta'], **meta}}, 'evil.pth')


@pytest.mark.parametrize('name', NAMES)
def test_an_intensity_of_a_plan(name, mark, refused):
    with_meta({'plan': {'inference': {'intensity': [hostile(mark)[name]]}}})
    text = refused('infer', 'net.py', '-c', 'evil.pth', *IMAGES, '--out', 'out')
    assert 'evil.pth: meta.plan' in text


@pytest.mark.parametrize('name', ['dotted', 'module', 'own module', 'another kind', 'no text'])
def test_a_preprocess_of_a_plan(name, mark, refused):
    with_meta({'plan': {'preprocess': [hostile(mark)[name]]}})
    text = refused('register', *PAIR, '-o', 'out', '--model', 'net.py', '-c', 'evil.pth')
    assert 'evil.pth: meta.plan' in text


@pytest.mark.parametrize('where', ['', 'backbone', 'encoder', 'flow_head', 'integrator'])
@pytest.mark.parametrize('name', ['dotted', 'scope', 'own module', 'a program'])
def test_a_description_of_a_model(where, name, mark, mmreg_command):
    evil = hostile(mark)[name]
    described = {'type': 'Registrar', 'ndim': 2, 'backbone': {'type': 'ResizePyramid', 'levels': 2}}
    if where == 'encoder':
        described['backbone']['encoder'] = evil
    else:
        described = {**described, **({where: evil} if where else evil)}
    with_meta({'model': described})
    code, text = mmreg_command('infer', 'net.py', '-c', 'evil.pth', *IMAGES, '--out', 'out')
    assert code in (0, 2) and 'Traceback' not in text


def test_a_description_that_would_not_end_is_not_built(mark, mmreg_command):
    with_meta({'model': {'ndim': 2, 'backbone': {'type': 'ImagePyramid', 'levels': 10**9}}})
    assert mmreg_command('infer', 'net.py', '-c', 'evil.pth', *IMAGES, '--out', 'out')[0] == 0


@pytest.mark.parametrize('meta', [5, ['plan'], {'plan': 7}, {'plan': {'inference': 3}}, {'plan': {'preprocess': 'x'}}])
def test_meta_of_another_form(meta, work, refused):
    content = torch.load('net.pth', weights_only=True)
    torch.save({**content, 'meta': meta}, 'evil.pth')
    refused('infer', 'net.py', '-c', 'evil.pth', *IMAGES, '--out', 'out')
    assert not (work / 'out').exists()


def test_the_plan_of_an_honest_checkpoint_is_used():
    intensity = [{'type': 'ClipWindow', 'low': -1000, 'high': 500}, {'type': 'mmreg.MinMax'}]
    found = find_preparation({}, {'plan': {'inference': {'intensity': intensity, 'spacing': 2.0}}})
    assert list(found.intensity) == intensity and found.spacing == 2.0
    preprocess = [{'type': 'LoadVolumes', 'orientation': 'RAS'}, {'type': 'DivideBy', 'value': 255.0}]
    found = find_preparation({}, {'plan': {'preprocess': preprocess}})
    assert found.orientation == 'RAS' and list(found.intensity) == preprocess[1:]


# Resuming ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def trained(base, tmp_path_factory):
    """A training checkpoint."""
    import mmreg.cli

    folder = tmp_path_factory.mktemp('trained')
    assert mmreg.cli.main(['train', str(base / 'train0.py'), '--work-dir', str(folder)]) == 0
    return read_checkpoint(folder / 'iter_6.pth')


@pytest.mark.parametrize('key', ['config', 'cfg'])
def test_the_text_of_a_config_is_data(key, trained, mark, mmreg_command):
    code = f"x = __import__('os').system('touch {mark}')\n"
    torch.save({**trained, 'meta': {**trained['meta'], key: code}}, 'evil.pth')
    assert mmreg_command('train', 'train0.py', '--work-dir', 'wd', '--resume', 'evil.pth')[0] == 0


@pytest.mark.parametrize(
    ('change', 'named'),
    [
        ({'meta': {'epoch': 'x', 'iter': 2}}, 'meta.epoch'),
        ({'meta': {'epoch': 0, 'iter': -1}}, 'meta.iter'),
        ({'meta': {'epoch': 0, 'iter': 2, 'seed': 1 << 70}}, 'meta.seed'),
        ({'message_hub': 5}, 'message_hub'),
        ({'message_hub': {'log_scalars': {}}}, 'message_hub'),
        ({'optimizer': {'state': {}, 'param_groups': []}}, 'cannot be gone on from'),
        ({'optimizer': 3}, 'cannot be gone on from'),
        ({'param_schedulers': 3}, 'cannot be gone on from'),
        ({'state_dict': {'a': 3}}, "'a' of the checkpoint is a int"),
        ({'state_dict': 3}, 'state_dict'),
    ],
)
def test_a_training_state_that_cannot_be(change, named, trained, work, refused):
    torch.save({**trained, **change}, 'evil.pth')
    assert named in refused('train', 'train0.py', '--work-dir', 'wd', '--resume', 'evil.pth')


def test_a_moment_of_another_shape(trained, work, refused):
    optimizer = copy.deepcopy(trained['optimizer'])
    next(iter(optimizer['state'].values()))['exp_avg'] = torch.zeros(3, 1, 4)
    torch.save({**trained, 'optimizer': optimizer}, 'evil.pth')
    assert 'exp_avg' in refused('train', 'train0.py', '--work-dir', 'wd', '--resume', 'evil.pth')


def test_resuming_deletes_no_file_that_a_checkpoint_names(trained, work, tmp_path, mmreg_command):
    """The engine removes the best checkpoint of before, by the path in the record, when there is a better one."""
    precious = [tmp_path / 'best_precious.pth', tmp_path / 'thesis.txt']
    for path in precious:
        path.write_text('x')
    for number, path in enumerate(precious):
        hub = copy.deepcopy(trained['message_hub'])
        hub['runtime_info'].update(best_ckpt=str(path), best_score=-1.0, keep_ckpt_ids=['../../../thesis', 2])
        torch.save({**trained, 'message_hub': hub, 'meta': {**trained['meta'], 'iter': 2}}, 'evil.pth')
        code, text = mmreg_command('train', 'train0.py', '--work-dir', f'wd{number}', '--resume', 'evil.pth')
        assert code == 0, text
    assert all(path.exists() for path in precious)


@pytest.mark.parametrize('field', ['meta', 'message_hub', 'optimizer', 'state_dict'])
def test_pickled_code_in_a_checkpoint(field, trained, mark, refused):
    torch.save({**trained, field: Marker(mark)}, 'evil.pth')
    assert 'could run code' in refused('train', 'train0.py', '--work-dir', 'wd', '--resume', 'evil.pth')


def test_plain_and_legacy_pickles(mark, refused):
    with open('plain.pth', 'wb') as file:
        pickle.dump({'state_dict': Marker(mark)}, file)
    content = torch.load('net.pth', weights_only=True)
    torch.save({**content, 'meta': Marker(mark)}, 'legacy.pth', _use_new_zipfile_serialization=False)
    for name in ('plain.pth', 'legacy.pth'):
        refused('infer', 'net.py', '-c', name, *IMAGES, '--out', 'out')


# JSON and YAML -------------------------------------------------------------------------------------------------------


def preset(**changes):
    model = {
        'type': 'Registrar', 'ndim': 2, 'backbone': {'type': 'ImagePyramid', 'levels': 1, 'any_size': True},
        'flow_head': {'type': 'FreeField', 'update': 'compose'}, 'integrator': {'type': 'IdentityIntegrator'},
        'losses': {'similarity': {'type': 'LNCC', 'window': 5, 'weight': 1.0}},
    }  # fmt: skip
    optimisation = {'levels': [{'scale': 1, 'iterations': 1}], 'step': 0.5, 'smooth_update': 1.5, 'smooth_field': 0.8}
    return {'model': model, 'optimisation': optimisation, **changes}


def write(name, content):
    import yaml

    with open(name, 'w') as file:
        file.write(json.dumps(content) if name.endswith('json') else yaml.safe_dump(content))


@pytest.mark.parametrize('ending', ['json', 'yaml'])
@pytest.mark.parametrize('name', ['dotted', 'scope', 'module', 'own module', 'a program', 'a function', 'nested'])
def test_configs_of_data(name, ending, mark, refused):
    write(f'evil.{ending}', preset(inference={'intensity': [hostile(mark)[name]]}))
    refused('register', *PAIR, '-o', 'out', '--preset', f'evil.{ending}', '--affine', 'none')


@pytest.mark.parametrize(
    'change',
    [
        {'custom_imports': {'imports': ['evilmod']}},
        {'default_scope': 'evilmod'},
        {'runner_type': 'evilmod.Part'},
        {'optim_wrapper': {'type': 'OptimWrapper', 'constructor': 'evilmod.Part'}},
        {'custom_hooks': [{'type': 'EMAHook', 'ema_type': 'evilmod.Part'}]},
        {'_base_': 'evilmod.py'},
        {'_base_': ['./evilmod.py']},
        {'_base_': 'evilmod::evilmod.py'},
        {'_base_': 'mmreg::../../../evilmod.py'},
        {'_base_': 5},
    ],
)
def test_other_doors_of_a_config_of_data(change, mark, refused):
    write('evil.json', preset(**change))
    refused('register', *PAIR, '-o', 'out', '--preset', 'evil.json', '--affine', 'none')


def test_yaml_builds_no_objects(mark, refused):
    (mark.parent / 'evil.yaml').write_text(f'model: !!python/object/apply:os.system ["touch {mark}"]\n')
    assert 'evil.yaml' in refused('register', *PAIR, '-o', 'out', '--preset', 'evil.yaml')


@pytest.mark.parametrize('ending', ['json', 'yaml'])
def test_an_honest_config_of_data_works(ending, work, mmreg_command):
    write(f'mine.{ending}', preset())
    code, text = mmreg_command('register', *PAIR, '-o', 'out', '--preset', f'mine.{ending}', '--affine', 'none')
    assert code == 0, text


def test_bases_of_data(work):
    write('below.json', {'model': {'a': 1, 'b': 2}, 'optimisation': {'step': 1}})
    write('mine.yaml', {'_base_': 'below.json', 'model': {'a': 3}, 'optimisation': {'_delete_': True, 'x': 1}})
    assert load_config('mine.yaml').to_dict() == {'model': {'a': 3, 'b': 2}, 'optimisation': {'x': 1}}
    write('shipped.json', {'_base_': 'mmreg::register_generic.py', 'affine': None})
    assert load_config('shipped.json').model.type == 'Registrar'
    write('circle.json', {'_base_': 'circle.json'})
    with pytest.raises(ConfigError, match='_base_'):
        load_config('circle.json')


@pytest.mark.parametrize(
    'name', ['eoir_lumir', 'register_brain_t1', 'gradirn_ukbb', 'spine_mind_rigid', 'symnet_oasis']
)
@pytest.mark.parametrize('ending', ['json', 'yaml'])
def test_a_shipped_config_survives_being_written_as_data(name, ending, tmp_path):
    cfg = load_config(config_folder() / f'{name}.py')
    cfg.dump(str(tmp_path / f'x.{ending}'))
    found = load_config(tmp_path / f'x.{ending}')
    assert json.dumps(found.to_dict(), sort_keys=True) == json.dumps(cfg.to_dict(), sort_keys=True)


def test_admit_says_what_was_expected():
    from mmreg.registry import TRANSFORMS

    with pytest.raises(CheckpointError, match=r"a\.pth: x\[0\] names type='os\.system'.*registered transform"):
        admit([{'type': 'os.system'}], 'a.pth: x', [TRANSFORMS], CheckpointError)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'optimization': {'step': 1}}, 'did you mean optimisation'),
        ({'inferences': {}}, 'did you mean inference'),
        ({'lr': 0.5}, 'optim_wrapper.optimizer.lr'),
        ({'_base_': 'mmreg::eoir_oasis.py', 'max_epochs': 3}, 'max_epochs'),
        ({'_base_': 'mmreg::eoir_oasis.py', 'batch_size': 7}, 'batch_size'),
    ],
)
def test_keys_of_data_that_have_no_effect(change, words, work):
    write('mine.json', change)
    with pytest.raises(ConfigError, match=rf'mine\.json: \w+ has no effect.*{words}'):
        load_config('mine.json')


def test_the_folder_of_the_data_moves(work):
    write('mine.json', {'_base_': 'mmreg::eoir_oasis.py', 'data_root': 'elsewhere/OASIS'})
    loader = load_config('mine.json').train_dataloader
    assert 'elsewhere/OASIS' in json.dumps(loader.to_dict()['dataset'])
    write('mine.json', {'anything_of_mine': 5})
    assert load_config('mine.json').anything_of_mine == 5
