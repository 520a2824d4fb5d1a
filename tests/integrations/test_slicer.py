"""The module of 3D Slicer outside of it: its logic as it is, its panel with stand-ins for Slicer's Python modules."""

import importlib
import json
import os
import stat
import sys
import time
import types
from pathlib import Path

import pytest

from mmreg.io import read_volume, write_volume
from tests.registration.phantoms import centred, draw, pose, write_preset

FOLDER = Path(__file__).parents[2] / 'integrations/slicer/MmregRegister'


@pytest.fixture
def run(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in [name for name in sys.modules if name.startswith('MmregRegister')]:
        monkeypatch.delitem(sys.modules, name)
    return importlib.import_module('MmregRegisterLib.run')


def program(path, body):
    """A program that stands in for mmreg."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!{sys.executable}\nimport json, os, sys, time\n{body}')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


TELLS = """
out = sys.argv[sys.argv.index('-o') + 1]
def say(step, **more): print(json.dumps({'step': step, **more}), flush=True)
say('start'); say('read', detail='', fraction=None); print('not json')
for n in range(3): say('affine', detail='rigid', fraction=n / 2)
say('optimisation', detail='level 1', fraction=0.5)
os.makedirs(out)
for name in ('warped.nii.gz', 'transform.h5', 'report.html'): open(os.path.join(out, name), 'w').write(name)
say('done', out=out, metrics={'dice': 0.8}, warnings=['look at it'], seconds=2.5)
"""


def test_where_mmreg_is(run, tmp_path):
    made = program(tmp_path / 'env/bin/mmreg', '')
    assert run.find_command(str(tmp_path / 'env')) == [str(made)] == run.find_command(str(made))
    assert run.find_command('', {'PATH': str(made.parent)}) == [str(made)]
    for place in (str(tmp_path / 'other'), ''):
        with pytest.raises(run.RegistrationFailed, match='There is no mmreg'):
            run.find_command(place, {'PATH': str(tmp_path)})


def test_slicers_own_python_is_left_behind(run, tmp_path):
    kept = run.outside({'PYTHONHOME': 'x', 'PYTHONPATH': 'y', 'LD_LIBRARY_PATH': 'z', 'HOME': 'h', 'PATH': 'p'})
    assert kept == {'HOME': 'h', 'PATH': 'p'}


def test_a_run_tells_where_it_is(run, tmp_path):
    command = [str(program(tmp_path / 'mmreg', TELLS))]
    words = run.arguments('f.nrrd', 'm.nrrd', tmp_path / 'result', 'brain_t1', 'rigid')
    assert words[:5] == ['register', 'f.nrrd', 'm.nrrd', '-o', str(tmp_path / 'result')]
    assert words[words.index('--preset') + 1] == 'brain_t1' and words[words.index('--only') + 1] == 'rigid'
    job = run.Run(command, words)
    steps = list(job.steps())
    shares = [step.done for step in steps]
    assert shares == sorted(shares) and shares[-1] == 1.0 and 0 < shares[0] < 0.1
    assert [step.name for step in steps].count('affine') == 3
    result = job.result()
    assert result.warped.is_file() and result.transform.is_file() and result.report.is_file()
    assert (result.metrics, list(result.warnings), result.seconds) == ({'dice': 0.8}, ['look at it'], 2.5)


@pytest.mark.parametrize(
    ('body', 'words'),
    [
        (
            "print(json.dumps({'step': 'error', 'message': 'm.nrrd: found no image'})); sys.exit(2)",
            'm.nrrd: found no image',
        ),
        ("sys.stderr.write('mmreg: error: out of memory\\n'); sys.exit(1)", 'out of memory'),
        ('sys.exit(3)', 'the code 3'),
        ('pass', 'said nothing'),
    ],
)
def test_failures_are_one_sentence(run, tmp_path, body, words):
    job = run.Run([str(program(tmp_path / 'mmreg', body))], [])
    list(job.steps())
    with pytest.raises(run.RegistrationFailed, match=words):
        time.sleep(0.1)  # both streams are read by threads
        job.result()


def test_stopping(run, tmp_path):
    job = run.Run(
        [str(program(tmp_path / 'mmreg', "print(json.dumps({'step': 'start'}), flush=True); time.sleep(60)"))], []
    )
    seen: list[str] = []

    def idle():
        if seen:
            job.cancel()

    for step in job.steps(idle):
        seen.append(step.name)
    assert seen == ['start']
    with pytest.raises(run.RegistrationFailed, match='stopped'):
        job.result()


def test_presets(run, tmp_path):
    body = "print('brain_t1: Brain MR\\n  suits: heads\\n\\nlung_ct: Lungs\\nA preset is a config: copy one')"
    assert run.presets([str(program(tmp_path / 'mmreg', body))]) == ['brain_t1', 'lung_ct']
    assert run.presets([str(tmp_path / 'nowhere')]) == []


@pytest.mark.slow
def test_mmreg_itself(run, tmp_path):
    """The real command: what the module passes is understood, what it reads is told."""
    grid = centred((16, 18, 14), (4.0, 4.0, 4.0))
    for name, shift in (('fixed', 0.0), ('moving', 3.0)):
        write_volume(tmp_path / f'{name}.nrrd', draw(grid, pose(0, (shift, 0, 0))))
    preset = write_preset(tmp_path, '\noptimisation = dict(levels=[dict(scale=1, iterations=2)])\n')
    words = run.arguments(tmp_path / 'fixed.nrrd', tmp_path / 'moving.nrrd', tmp_path / 'result', str(preset))
    body = f'sys.path.insert(0, {str(Path(__file__).parents[2])!r})\nfrom mmreg.cli import main\nsys.exit(main())'
    job = run.Run([str(program(tmp_path / 'mmreg', body))], words)
    names = [step.name for step in job.steps()]
    result = job.result()
    assert {'start', 'read', 'affine', 'optimisation', 'writing', 'done'} <= set(names)
    assert (
        read_volume(result.warped).geometry.same_grid(grid) and result.transform.is_file() and result.report.is_file()
    )


class Thing:
    """Anything of Qt or Slicer: remembers what is set and called."""

    def __init__(self, *args, **kwargs):
        self.calls, self.items, self.slots = [], [], {}
        self.text = args[0] if args and isinstance(args[0], str) else ''
        self.node, self.currentText = None, ''

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return lambda *args, **kwargs: self.calls.append((name, *args))

    def addItem(self, item):
        self.items.append(item)
        self.currentText = self.currentText or item

    def addItems(self, items):
        for item in items:
            self.addItem(item)

    def clear(self):
        self.items, self.currentText = [], ''

    def connect(self, signal, slot):
        self.slots[signal] = slot

    def currentNode(self):
        return self.node


class Node(Thing):
    def __init__(self, name):
        super().__init__()
        self.name = name

    def GetName(self):
        return self.name

    def SetName(self, name):
        self.name = name


@pytest.fixture
def module(run, tmp_path, monkeypatch):
    """The module, imported with stand-ins; what it loads is kept in ``slicer.loaded``."""
    slicer, qt, base = (
        types.ModuleType('slicer'),
        types.ModuleType('qt'),
        types.ModuleType('slicer.ScriptedLoadableModule'),
    )
    for name in ('QFormLayout', 'QLineEdit', 'QComboBox', 'QPushButton', 'QProgressBar', 'QLabel'):
        setattr(qt, name, Thing)
    settings = Thing()
    settings.value = lambda key: None
    slicer.app = types.SimpleNamespace(
        temporaryPath=str(tmp_path), settings=lambda: settings, processEvents=lambda: None
    )
    slicer.loaded = []

    def save(node, file, properties):
        Path(file).write_text(node.GetName())
        return node.GetName() != 'unwritable'

    def load(file, properties=None):
        assert Path(file).is_file()
        slicer.loaded.append(Path(file).name)
        return Node((properties or {}).get('name', Path(file).name))

    environment = {**os.environ, 'PATH': str(tmp_path / 'bin')}
    slicer.util = types.SimpleNamespace(
        startupEnvironment=lambda: environment, saveNode=save, loadVolume=load, loadTransform=load
    )
    slicer.mrmlScene, slicer.qMRMLNodeComboBox = Thing(), Thing
    for name in ('ScriptedLoadableModule', 'ScriptedLoadableModuleLogic', 'ScriptedLoadableModuleWidget'):
        setattr(
            base,
            name,
            type(name, (), {'__init__': lambda self, *args: None, 'setup': lambda self: None, 'layout': Thing()}),
        )
    slicer.ScriptedLoadableModule = base
    for name, stand_in in (('slicer', slicer), ('qt', qt), ('slicer.ScriptedLoadableModule', base)):
        monkeypatch.setitem(sys.modules, name, stand_in)
    return importlib.import_module('MmregRegister')


def panel(module, fixed='CT', moving='MR'):
    widget = module.MmregRegisterWidget()
    widget.setup()
    widget.fixed.node, widget.moving.node = Node(fixed), Node(moving)
    return widget


def test_the_panel_registers(module, tmp_path):
    program(tmp_path / 'bin/mmreg', TELLS)
    widget = panel(module)
    widget.kind.currentText = 'rigid'
    widget.button.slots['clicked(bool)'](True)
    assert module.slicer.loaded == ['warped.nii.gz', 'transform.h5']
    assert 'Done in 2 s' in widget.label.text and 'look at it' in widget.label.text
    assert [call for call in widget.bar.calls if call[0] == 'setValue'][-1] == ('setValue', 1000)
    assert widget.button.enabled and not widget.stop.enabled


@pytest.mark.parametrize(
    ('moving', 'words'), [('unwritable', 'cannot be written'), ('MR', 'There is no mmreg on the path')]
)
def test_the_panel_says_what_went_wrong(module, tmp_path, moving, words):
    if moving == 'unwritable':
        program(tmp_path / 'bin/mmreg', TELLS)
    widget = panel(module, moving=moving)
    widget.on_register()
    assert words in widget.label.text and not module.slicer.loaded and widget.button.enabled


def test_the_panel_wants_two_volumes(module):
    widget = panel(module)
    widget.moving.node = widget.fixed.node
    widget.on_register()
    assert widget.label.text == 'Choose two different volumes.'


def test_the_panel_lists_the_presets(module, tmp_path):
    program(tmp_path / 'env/bin/mmreg', "print('brain_t1: Brain MR')")
    widget = panel(module)
    widget.place.text = str(tmp_path / 'env')
    widget.on_place()
    assert widget.preset.items == ['chosen by the images', 'brain_t1']
    widget.place.text = str(tmp_path / 'nowhere')
    widget.on_place()
    assert widget.preset.items == ['chosen by the images'] and 'There is no mmreg' in widget.label.text


def test_what_slicer_lists(module):
    parent = types.SimpleNamespace()
    module.MmregRegister(parent)
    assert (
        parent.title == 'mmreg registration' and parent.categories == ['Registration'] and json.dumps(parent.helpText)
    )
