"""Help texts load no part: seconds depend on the machine, which libraries are loaded does not."""

import subprocess
import sys

from mmreg.commands.shared.family_sources import family_notes
from mmreg.converters import FAMILIES
from mmreg.evaluation.challenge.profiles import PROFILES
from mmreg.evaluation.stress.deformations import STATISTICS
from mmreg.utils.choices import PACKAGES, SIZE_STATISTICS

EVERY_HELP = """
import contextlib, io, sys
from mmreg.cli import COMMANDS, main
heavy = {'torch', 'monai', 'matplotlib', 'mmengine.runner', 'scipy.stats', 'cv2', 'pandas'}
for name in COMMANDS:
    out = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(out):
        main([name, '--help'])
    if name not in out.getvalue():
        sys.exit(f'{name} --help told nothing')
    if found := heavy & set(sys.modules):
        sys.exit(f'{name} --help loads {found}')
"""


def test_no_help_loads_torch():
    run = subprocess.run([sys.executable, '-c', EVERY_HELP], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


REGISTERING = """
import sys
import mmreg.registration.register, mmreg.commands.shared.run_progress
found = {'matplotlib', 'scipy.stats', 'scipy.interpolate', 'jinja2', 'pandas'} & set(sys.modules)
sys.exit(f'register loads {found}' if found else 0)
"""


def test_register_loads_what_draws_when_it_draws():
    run = subprocess.run([sys.executable, '-c', REGISTERING], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_families_are_told_as_they_are():
    assert family_notes() == {name: FAMILIES[name].note for name in sorted(FAMILIES)}


def test_choices_are_the_names_of_the_tables():
    assert tuple(PROFILES) == PACKAGES and tuple(STATISTICS) == SIZE_STATISTICS
