"""The `mmreg` command: one word chooses a door, the door is imported only then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from mmreg.utils import console
from mmreg.version import __version__

#: Sub-command -> (module with ``main(argv)``, one line of help). ``tools/*.py`` open the same doors.
COMMANDS: dict[str, tuple[str, str]] = {
    'train': ('mmreg.engine.train_cli', 'train what a config describes'),
    'train-stages': ('mmreg.engine.stages_cli', 'train configs in order, each from the weights of the one before'),
    'test': ('mmreg.engine.test_cli', 'measure a checkpoint on the test set of a config'),
    'register': ('mmreg.apis.register_cli', 'register two images, or many pairs, without training'),
    'infer': ('mmreg.apis.inference_cli', 'register image files with a trained model'),
    'apply': ('mmreg.apis.transform_apply_cli', 'move images, label maps and landmarks by a transform'),
    'invert': ('mmreg.apis.transform_invert_cli', 'invert a transform'),
    'compose': ('mmreg.apis.transform_compose_cli', 'chain transforms into one file'),
    'jacobian': ('mmreg.apis.transform_jacobian_cli', 'map how a transform changes volumes'),
    'evaluate': ('mmreg.evaluation.evaluate_cli', 'score displacement fields the way the challenges do'),
    'package': ('mmreg.evaluation.package_cli', 'pack a submission for a challenge'),
    'convert': ('mmreg.converters.cli', 'convert a published checkpoint'),
    'reparameterise': ('mmreg.apis.reparameterise_cli', 'merge parallel kernels of a checkpoint, for inference'),
    'config': ('mmreg.utils.config_cli', 'print a config with everything merged'),
    'models': ('mmreg.apis.models_cli', 'list the methods with config, paper, parameters and results'),
    'list': ('mmreg.utils.list_cli', 'print every registered part'),
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
    return door(name)(argv[1:])


def door(name: str) -> Callable[[Sequence[str] | None], int]:
    """The ``main`` of a sub-command."""
    return import_module(COMMANDS[name][0]).main


def _unknown(name: str) -> None:
    from difflib import get_close_matches

    from mmreg.errors import ConfigError

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
