"""The `mmreg` command: one word chooses a door, the door is imported only then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from .utils import console
from .version import __version__

#: Sub-command -> (module with ``main(argv)``, one line of help). ``tools/*.py`` open the same doors.
COMMANDS: dict[str, tuple[str, str]] = {
    'train': ('mmreg.commands.train', 'train what a config describes'),
    'train-stages': ('mmreg.commands.train_stages', 'train configs in order, each from the weights of the one before'),
    'test': ('mmreg.commands.test', 'measure a checkpoint on the test set of a config'),
    'register': ('mmreg.commands.register', 'register two images, or many pairs, without training'),
    'bids': ('mmreg.commands.bids', 'register a data set in BIDS, write derivatives'),
    'infer': ('mmreg.commands.infer', 'register image files with a trained model'),
    'template': ('mmreg.commands.template', 'build an unbiased template of a group of scans'),
    'propagate': ('mmreg.commands.propagate', 'carry the labels of atlases to a scan'),
    'series': ('mmreg.commands.series', 'bring the frames of a series together'),
    'statistics': ('mmreg.commands.statistics', 'local volumes of a cohort, compared between groups'),
    'view': ('mmreg.commands.view', 'look at a result, or a folder of images, with one crosshair in all scans'),
    'data': ('mmreg.commands.data', 'data sets: where they come from; check a folder, prepare one'),
    'apply': ('mmreg.commands.apply', 'move images, label maps and landmarks by a transform'),
    'invert': ('mmreg.commands.invert', 'invert a transform'),
    'compose': ('mmreg.commands.compose', 'chain transforms into one file'),
    'jacobian': ('mmreg.commands.jacobian', 'map how a transform changes volumes'),
    'evaluate': ('mmreg.commands.evaluate', 'score displacement fields the way the challenges do'),
    'package': ('mmreg.commands.package', 'pack a submission for a challenge'),
    'weights': ('mmreg.commands.weights', 'published weights by name: list, download, check'),
    'convert': ('mmreg.commands.convert', 'convert a published checkpoint'),
    'reparameterise': ('mmreg.commands.reparameterise', 'merge parallel kernels of a checkpoint, for inference'),
    'embed': ('mmreg.commands.embed', 'compute the text embeddings of a label set'),
    'compare': ('mmreg.commands.compare', 'compare result tables of methods, with statistics'),
    'compare-with': (
        'mmreg.commands.compare_with',
        'run methods on the same pairs: a table and the ranking',
    ),
    'deformation': (
        'mmreg.commands.deformation',
        'analyse displacement fields: smoothness, complexity, jumps',
    ),
    'analyze-logs': ('mmreg.commands.analyze_logs', 'draw curves and times from the logs of training runs'),
    'browse-dataset': ('mmreg.commands.browse_dataset', 'draw what a data set hands to the network'),
    'vis-scheduler': ('mmreg.commands.vis_scheduler', 'draw the learning rate of a config over its training'),
    'publish-model': ('mmreg.commands.publish_model', 'strip a checkpoint to what inference needs'),
    'stress': ('mmreg.commands.stress', 'measure how large a known misalignment a model can undo'),
    'complexity': ('mmreg.commands.complexity', 'count what models cost: parameters, multiply-adds, memory, time'),
    'steps': ('mmreg.commands.steps', 'draw what every step of an unrolled optimisation (GraDIRN) does'),
    'demo': ('mmreg.commands.demo', 'train a small network on simulated brains and see what it learned'),
    'config': ('mmreg.commands.config', 'print a config with everything merged'),
    'models': ('mmreg.commands.models', 'list the methods with config, paper, parameters and results'),
    'list': ('mmreg.commands.list', 'print every registered part, or what one of them is'),
    'completion': ('mmreg.commands.completion', 'print the completion of a shell'),
}
ALIASES = {'inference': 'infer', 'convert-checkpoint': 'convert', 'print-config': 'config'}


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ('-h', '--help', 'help'):
        _help()
        return 0 if argv else 2
    if argv[0] in ('-V', '--version'):
        console.say(f'mmreg {__version__}')
        return 0
    name = ALIASES.get(argv[0], argv[0])
    if name not in COMMANDS:
        return console.run(lambda: _unknown(argv[0]))
    if name == 'completion':  # knows of no other command: this table lies above it
        return import_module(COMMANDS[name][0]).main(argv[1:], COMMANDS, ALIASES)
    return door(name)(argv[1:])


def door(name: str) -> Callable[[Sequence[str] | None], int]:
    """The ``main`` of a sub-command."""
    return import_module(COMMANDS[name][0]).main


def _unknown(name: str) -> None:
    from difflib import get_close_matches

    from .errors import ConfigError

    close = get_close_matches(name, [*COMMANDS, *ALIASES], n=1, cutoff=0.5)
    hint = f'; did you mean {close[0]!r}?' if close else ','
    raise ConfigError(f'there is no command {name!r}{hint} expected one of {", ".join(COMMANDS)}.')


def _help() -> None:
    console.say(f'mmreg {__version__}: deformable medical image registration\n')
    console.say('usage: mmreg COMMAND [options]     mmreg COMMAND --help tells more\n')
    for name, (_, text) in COMMANDS.items():
        console.say(f'  {name:<14} {text}')


if __name__ == '__main__':
    sys.exit(main())
