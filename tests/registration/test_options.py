"""Files of a pair and options of a run are written once: everything else is made from the dataclasses."""

import inspect
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import mmreg
from mmreg.commands import infer, register
from mmreg.registration.cohort.cases import CohortCase
from mmreg.registration.files import PairFiles
from mmreg.registration.options import AFFINE_WORDS, LAYOUT_NAMES, OUTPUT_NAMES, RunOptions
from mmreg.registration.pipeline import Pipeline
from mmreg.registration.results.outputs import LAYOUTS, OUTPUTS
from mmreg.utils.described import markdown_table

PAIR = PairFiles.names()


def test_python_has_every_keyword():
    keywords = inspect.signature(mmreg.register).parameters
    assert set(PAIR) | set(RunOptions.names()) <= set(keywords)
    assert set(PAIR) <= set(inspect.signature(Pipeline.__call__).parameters)
    for text in (mmreg.register.__doc__, Pipeline.__call__.__doc__):
        assert all(f'{name}: ' in text for name in PAIR)
        assert all(word in text for word in AFFINE_WORDS)
        assert '{keywords}' not in text


@pytest.mark.parametrize('command', [register, infer])
def test_the_command_line_has_every_option(command):
    options = {action.dest: action for action in command.build_parser()._actions}
    assert set(PAIR) | set(RunOptions.names(but=('model',))) <= set(options)
    assert all(name in options['outputs'].help for name in OUTPUT_NAMES)
    assert all(word in options['affine'].help for word in AFFINE_WORDS)
    assert tuple(options['layout'].choices) == LAYOUT_NAMES


def test_names_of_outputs_and_layouts():
    assert tuple(OUTPUTS) == OUTPUT_NAMES
    assert ('files', *LAYOUTS) == LAYOUT_NAMES


def test_a_keyword_that_does_not_exist():
    with pytest.raises(TypeError, match="did you mean 'fixed_prompt'"):
        mmreg.register('a', 'b', fixed_promt='c')
    with pytest.raises(TypeError, match="did you mean 'fixed_mask'"):
        mmreg.registration.by_preset.PresetRegistration('generic')('a', 'b', fixed_maks='c')


def test_files_of_a_case_of_a_list():
    fixed = {'id': 'a', 'image': 'f', 'labels': 'fl', 'prompt': 'fp', 'mask': ''}
    moving = {'id': 'b', 'image': 'm', 'landmarks': 'ml', 'prompt': 'not seen'}
    case = CohortCase('a_b', fixed, moving)
    assert case.arguments() == {
        'fixed': 'f', 'moving': 'm', 'fixed_labels': 'fl', 'fixed_prompt': 'fp', 'moving_landmarks': 'ml'
    }  # fmt: skip
    assert case.files.only(('fixed_prompt',)).given() == {'fixed': 'f', 'moving': 'm', 'fixed_prompt': 'fp'}


def test_the_plan_has_all_options(tmp_path):
    image = np.exp(-((np.indices((16, 16)) - 8.0) ** 2).sum(0) / 20)
    quick = {'optimisation.levels': [dict(spacing=1.0, iterations=1)]}
    result = mmreg.register(
        (image, np.eye(3)), (image, np.eye(3)), preset='generic', affine='none', seed=3, cfg_options=quick,
        fixed_prompt=(image > 0.5, np.eye(3)), out_dir=tmp_path / 'out',
    )  # fmt: skip
    plan = json.loads((tmp_path / 'out' / 'plan.json').read_text(encoding='utf-8'))
    assert set(plan['options']) == {field.name for field in fields(RunOptions)}
    assert plan['options']['seed'] == 3 and plan['options']['affine'] == 'none'
    assert set(plan['inputs']) == {'fixed', 'moving', 'fixed_prompt'}
    assert 'prompt' not in result.metrics


@pytest.mark.parametrize('kind', [PairFiles, RunOptions])
def test_the_page_has_every_row(kind):
    """Made again by ``mmreg.utils.described.markdown_table``."""
    page = Path(__file__).parents[2] / 'docs' / 'options.md'
    assert markdown_table(kind) in page.read_text('utf-8')
