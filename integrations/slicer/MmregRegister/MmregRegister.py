"""3D Slicer module: registers two volumes by mmreg, which runs in a Python environment of its own."""

import os
import tempfile
from pathlib import Path

import qt
import slicer
from MmregRegisterLib.run import RegistrationFailed, Run, arguments, find_command, presets
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)

_SETTING = 'MmregRegister/environment'
_CHOSEN = 'chosen by the images'
_DEFORM = 'deform'


class MmregRegister(ScriptedLoadableModule):
    """What Slicer lists."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = 'mmreg registration'
        parent.categories = ['Registration']
        parent.contributors = ['the mmreg authors']
        parent.helpText = (
            'Registers a moving volume to a fixed one, without training. mmreg is installed in a Python environment of '
            'its own: pip install mmreg; name that environment below.'
        )


class MmregRegisterLogic(ScriptedLoadableModuleLogic):
    """From two volume nodes to a warped volume and a transform node."""

    def __init__(self):
        super().__init__()
        self.run = None

    def register(self, fixed, moving, place='', preset='', only='', show=lambda step: None, idle=lambda: None):
        """Register two volume nodes.

        Args:
            fixed: Node of the volume that stays.
            moving: Node of the other one.
            place: Python environment of mmreg, or empty.
            preset: Name of a preset, or empty.
            only: Kind of map, or empty to deform.
            show: Called with every :class:`~MmregRegisterLib.run.Step`.
            idle: Called while nothing is told.

        Returns:
            The warped volume node, the transform node, and the result; the transform is applied to nothing.

        Raises:
            RegistrationFailed: with one sentence.
        """
        environment = dict(slicer.util.startupEnvironment())
        command = find_command(place, environment)
        folder = Path(tempfile.mkdtemp(prefix='mmreg-', dir=slicer.app.temporaryPath))
        files = [folder / 'fixed.nrrd', folder / 'moving.nrrd']
        for node, file in zip((fixed, moving), files):
            if not slicer.util.saveNode(node, str(file), {'useCompression': False}):
                raise RegistrationFailed(f'The volume {node.GetName()} cannot be written to {file}.')
        self.run = Run(command, arguments(*files, folder / 'result', preset, only), environment)
        try:
            for step in self.run.steps(idle):
                show(step)
            result = self.run.result()
        finally:
            self.run = None
        warped = slicer.util.loadVolume(str(result.warped), {'name': f'{moving.GetName()} registered'})
        transform = slicer.util.loadTransform(str(result.transform))
        transform.SetName(f'{moving.GetName()} to {fixed.GetName()}')
        return warped, transform, result

    def cancel(self):
        """Stop the registration that runs."""
        if self.run is not None:
            self.run.cancel()


class MmregRegisterWidget(ScriptedLoadableModuleWidget):
    """The panel: two volumes, environment, preset, a button, a bar."""

    def setup(self):
        """Build it."""
        super().setup()
        self.logic = MmregRegisterLogic()
        form = qt.QFormLayout()
        self.layout.addLayout(form)
        self.fixed, self.moving = self._volumes('Fixed volume', form), self._volumes('Moving volume', form)
        self.place = qt.QLineEdit(slicer.app.settings().value(_SETTING) or '')
        self.place.toolTip = 'Folder of the Python environment that mmreg is installed in; empty: on the path'
        form.addRow('Environment of mmreg', self.place)
        self.preset = qt.QComboBox()
        self.preset.addItem(_CHOSEN)
        form.addRow('Preset', self.preset)
        self.kind = qt.QComboBox()
        self.kind.addItems([_DEFORM, 'rigid', 'similarity', 'affine'])
        form.addRow('What to do', self.kind)
        self.button, self.stop = qt.QPushButton('Register'), qt.QPushButton('Stop')
        self.bar, self.label = qt.QProgressBar(), qt.QLabel('')
        self.bar.setRange(0, 1000)
        self.label.wordWrap = True
        for row in (self.button, self.stop, self.bar, self.label):
            form.addRow(row)
        self.stop.enabled = False
        self.button.connect('clicked(bool)', self.on_register)
        self.stop.connect('clicked(bool)', lambda checked=False: self.logic.cancel())
        self.place.connect('editingFinished()', self.on_place)
        self.layout.addStretch(1)

    def _volumes(self, title, form):
        box = slicer.qMRMLNodeComboBox()
        box.nodeTypes = ['vtkMRMLScalarVolumeNode']
        box.addEnabled = box.removeEnabled = False
        box.setMRMLScene(slicer.mrmlScene)
        form.addRow(title, box)
        return box

    def on_place(self):
        """Keep the environment, and list the presets of its mmreg."""
        slicer.app.settings().setValue(_SETTING, self.place.text)
        self.preset.clear()
        self.preset.addItem(_CHOSEN)
        try:
            found = presets(find_command(self.place.text, dict(slicer.util.startupEnvironment())), os.environ)
        except RegistrationFailed as failed:
            self.label.text = str(failed)
            return
        self.preset.addItems(found)

    def on_register(self, checked=False):
        """Register, and say how it went."""
        fixed, moving = self.fixed.currentNode(), self.moving.currentNode()
        if fixed is None or moving is None or fixed is moving:
            self.label.text = 'Choose two different volumes.'
            return
        preset = '' if self.preset.currentText == _CHOSEN else self.preset.currentText
        only = '' if self.kind.currentText == _DEFORM else self.kind.currentText
        self.button.enabled, self.stop.enabled = False, True
        try:
            _, _, result = self.logic.register(
                fixed, moving, self.place.text, preset, only, self.show, slicer.app.processEvents
            )
            said = [f'Done in {result.seconds:.0f} s; the report: {result.report}', *result.warnings]
            self.label.text = '\n'.join(said)
        except RegistrationFailed as failed:
            self.label.text = str(failed)
        finally:
            self.button.enabled, self.stop.enabled = True, False

    def show(self, step):
        """Where the registration is."""
        self.bar.setValue(int(1000 * step.done))
        self.label.text = f'{step.name} {step.detail}'.strip()
        slicer.app.processEvents()
