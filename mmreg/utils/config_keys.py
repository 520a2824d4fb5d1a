"""Keys of a config that have no effect: variables of a file whose value was copied, and names of other programs."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError, listed

from .shipped import SCOPE, find_config

#: Options of the published systems -> where the same is said here.
PUBLISHED_OPTIONS: dict[str, str] = {
    'start_channel': 'the start channel N is model.backbone.encoder.channels (EOIR), model.backbone.channels (TextSCF)',
    'num_classes': 'labels are counted where they are used: val_evaluator.0.labels, test_evaluator.0.labels, '
    'model.label_values',
    'bs': 'the batch size is train_dataloader.batch_size',
    'batch_size': 'the batch size is train_dataloader.batch_size',
    'gpu_id': 'a device is chosen by CUDA_VISIBLE_DEVICES, or by --device of mmreg infer',
    'reg_w': 'the weight of the smoothness is model.losses.smoothness.weight',
    'sim_w': 'the weight of the similarity is model.losses.similarity.weight',
    'scp_dim': "the width of TextSCF's implicit function is model.flow_head.hidden_dim",
    'diff_int': 'integration is model.integrator: configs/textscf_oasis_diff.py has it',
    'int_steps': 'the steps of integration are model.integrator.steps',
    'clip_backbone': 'the text encoder is model.flow_head.text_embedding: configs/textscf_oasis*.py',
    'epochs': 'the length of training is train_cfg.max_epochs, or train_cfg.max_iters',
    'max_epochs': 'the length of training is train_cfg.max_epochs',
    'lr': 'the learning rate is optim_wrapper.optimizer.lr',
    'seed': 'the seed is randomness.seed, or --seed',
    'experiment_root': 'the folder of a run is --work-dir',
    'run_dir': 'the folder of a run is --work-dir',
    'train_path': 'the folder of the data is data_root',
    'val_path': 'the folder of the data is data_root',
    'd': 'the data set is chosen by the config: configs/<method>_<dataset>.py',
    'm': 'the model is chosen by the config: configs/<method>_<dataset>.py',
    'image_size': 'networks take any size; crops of training are transforms in train_dataloader.dataset.pipeline',
    'img_size': 'networks take any size; crops of training are transforms in train_dataloader.dataset.pipeline',
    'crop_size': 'networks take any size; crops of training are transforms of the data set',
    'lk_size': 'the large kernel is model.backbone.encoder.large_kernel (EOIR), model.backbone.kernel (TextSCF)',
    'is_int': 'integration is model.integrator: configs/eoir_lumir_noint.py is without',
    'dsc_w': 'the weight of the labels is model.losses.overlap.weight',
    'load_ckpt': 'weights are the argument of mmreg test, --checkpoint of mmreg infer, load_from of a config',
    'json_path': 'the list of pairs is ann_file of a data set, --pairs of mmreg infer',
    'is_submit': 'fields are written by mmreg test --save-fields and packed by mmreg package',
    'is_bidir': "both directions are losses with direction='both', and pairing='both' of a data set",
    'num_blocks': 'the blocks of each level are model.flow_head.blocks',
    'num_repeat': 'the repeats of each block are model.flow_head.repeats',
    'tau_config': 'the step size is step_size of model.flow_head',
    'regulariser_config': "the regulariser's network is model.flow_head.layers, channels and image_inputs",
    'input_images': "what the regulariser's network sees is model.flow_head.image_inputs",
    'train_limit_data': 'the share of the training data is train_dataloader.dataset.fraction',
    'lr_decay_step': 'the schedule is param_scheduler',
    'decay_rate': 'the schedule is param_scheduler: gamma of its ExponentialLR',
    'start_epoch': 'a training goes on with --resume',
    'save_interval': 'how often is saved is default_hooks.checkpoint.interval',
    'load_model': 'weights to start from are load_from',
    'use_last_ckpt': 'a later stage starts from the weights of the one before by mmreg train-stages',
    'vxm_cfg': 'the network is model.backbone and model.flow_head',
    'registration_cfg': 'integration and resizing are model.integrator and model.flow_head',
    'sim_loss_cfg': 'the similarity is model.losses.similarity',
    'reg_loss_cfg': 'the smoothness is model.losses.smoothness',
    'rigid_losses_cfgs': 'the rigidity losses are model.losses.orthonormality, properness, rigid_dice and rigid_field',
    'metric_cfg': 'metrics are val_evaluator and test_evaluator',
    'trainset_cfg': 'the data are train_dataloader.dataset',
    'valset_cfg': 'the data are val_dataloader.dataset',
    'testset_cfg': 'the data are test_dataloader.dataset',
    'data_dir': 'the folder of the data is data_root',
    'out_path': 'the folder of a run is --work-dir',
    'model_dir': 'the folder of a run is --work-dir',
}
_SHOWN = 4


def hint_of(name: str) -> str:
    """Where an option of a published system is said here; empty for other names."""
    return PUBLISHED_OPTIONS.get(name.lstrip('-').partition('=')[0].rpartition('.')[2], '')


def refuse_variable(cfg: Mapping[str, Any], key: str, effective: frozenset[str]) -> None:
    """Refuse to set a variable of a config file from outside: its value was copied when the file was read.

    Args:
        cfg: The merged config.
        key: Dotted path that is to be set.
        effective: First names that something reads.

    Raises:
        ConfigError: naming the keys that hold the value.
    """
    name = key.partition('.')[0]
    if name in effective or name not in cfg or name.startswith('__'):
        return
    places = list(_places(cfg, name, cfg[name]))
    if not places and not hint_of(name):
        return  # something of one's own may read it
    shown = listed(places, shown=_SHOWN)
    found = f'its value is at {shown}' if places else hint_of(name)
    raise ConfigError(
        f'--cfg-options {key}: {name} is a variable of the config file, which was copied when the file was read, so '
        f'that it has no effect; {found}.'
    )


def _places(cfg: Mapping[str, Any], name: str, value: Any) -> Iterator[str]:
    """Paths that hold a variable's value: those of its name first, else those of an equal value."""
    found = [(path, key, item) for path, key, item in _walk(cfg, '') if '.' in path]
    named = [path for path, key, item in found if key == name and item == value]
    if named or value is None or isinstance(value, bool):
        yield from named
        return
    yield from (path for path, _, item in found if item == value and type(item) is type(value))


def _walk(node: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    children: Any = ()
    if isinstance(node, Mapping):
        children = node.items()
    elif isinstance(node, Sequence) and not isinstance(node, str):
        children = enumerate(node)
    for key, item in children:
        place = f'{path}.{key}' if path else str(key)
        yield place, str(key), item
        yield from _walk(item, place)


def check_files(path: str | Path, effective: frozenset[str]) -> None:
    """Refuse a config file that sets what has no effect, since neither it nor a file based on it uses the name.

    Refused are variables of a base file (their values were copied there), options of the published systems, and names
    that are nearly one which is read. Other names may be read by parts of one's own.

    Raises:
        ConfigError: naming file and key, and where the same is said.
    """
    files = list(_chain(Path(path)))
    # Variables of a file that it copies into other keys of its own.
    names = [{name for node in tree.body for name in _assigned(node)} & _loaded(tree) for _, tree in files]
    used: set[str] = set()
    for number, (file, tree) in enumerate(files):
        used |= _loaded(tree)
        below = set().union(*names[number + 1 :])
        for node in tree.body:
            for name in _assigned(node):
                if name in effective or name in used or name.startswith('_'):
                    continue
                advice = _advice(name, below, effective)
                if advice:
                    raise ConfigError(f'{file}, line {node.lineno}: {name} has no effect; {advice}.')


def check_names(content: Mapping[str, Any], path: Path, bases: Sequence[Path], effective: frozenset[str]) -> None:
    """The same for a file of data (JSON, YAML), in which no name can be used by another key.

    Args:
        content: The file's own keys.
        path: The file, for errors.
        bases: The files it is based on.
        effective: First names that something reads.

    Raises:
        ConfigError: naming file and key, and where the same is said.
    """
    below = {name for base in bases for _, tree in _chain(base) for node in tree.body for name in _assigned(node)}
    for name, value in content.items():
        if name in effective or name.startswith('_') or (name not in below and [*_places(content, name, value)]):
            continue  # the last: a config written out whole, which holds what its variables say where they said it
        advice = _advice(name, below, effective)
        if advice:
            raise ConfigError(f'{path}: {name} has no effect; {advice}.')


def _advice(name: str, below: set[str], effective: frozenset[str]) -> str:
    """What to do instead of setting ``name``; empty where it may be meant."""
    if name in below:
        return (
            'it is a variable of a base file, whose value was copied there: set the keys that hold the value (mmreg '
            'config FILE shows them)'
        )
    close = difflib.get_close_matches(name, effective, n=1, cutoff=0.85)
    return hint_of(name) or (f'did you mean {close[0]}?' if close else '')


def _chain(path: Path) -> Iterator[tuple[Path, ast.Module]]:
    """A Python config and its bases, the most derived first."""
    if path.suffix != '.py' or not path.is_file():
        return
    tree = _parsed(path, path.stat().st_mtime_ns)
    if tree is None:
        return  # the real reader says where
    yield path, tree
    for base in _bases(path, tree):
        yield from _chain(base)


@lru_cache(maxsize=512)
def _parsed(path: Path, changed: int) -> ast.Module | None:
    try:
        return ast.parse(path.read_text(encoding='utf-8'))
    except SyntaxError:
        return None


def mentions(path: Path, text: str) -> bool:
    """Whether a config or one of its bases has ``text`` in it."""
    return any(text in file.read_text(encoding='utf-8') for file, _ in _chain(path))


def _bases(path: Path, tree: ast.Module) -> Iterator[Path]:
    """The files that a config is based on: those of ``_base_``, and of ``with read_base():`` by relative imports."""
    for node in tree.body:
        for base in _listed(node, '_base_'):
            yield _base_file(path, base)
        for line in node.body if isinstance(node, ast.With) else ():
            if isinstance(line, ast.ImportFrom) and line.level and line.module:
                yield path.parents[line.level - 1].joinpath(*line.module.split('.')).with_suffix('.py')


def _base_file(path: Path, base: str) -> Path:
    return Path(find_config(base)) if base.startswith(SCOPE) else path.parent / base


def bases_that_are_moved(path: Path) -> list[Path]:
    """Bases of a file that sets ``data_root`` without using it itself: those whose data sets it means."""
    first = next(iter(_chain(path)), None)
    if first is None or 'data_root' in _loaded(first[1]):
        return []
    if not any('data_root' in _assigned(node) for node in first[1].body):
        return []
    return list(_bases(*first))


def _listed(node: ast.stmt, name: str) -> list[str]:
    """The words of a list (or the word) that is assigned to ``name``."""
    if not isinstance(node, ast.Assign) or name not in _assigned(node):
        return []
    constants = [node.value] if isinstance(node.value, ast.Constant) else getattr(node.value, 'elts', [])
    return [item.value for item in constants if isinstance(item, ast.Constant) and isinstance(item.value, str)]


def _assigned(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


@lru_cache(maxsize=512)
def _loaded(tree: ast.Module) -> set[str]:
    """Names that a file reads: its own, and ``_base_.name`` of the files below, also inside a text."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store)}
    return names | set(_OF_BASE.findall(ast.unparse(tree)))


_OF_BASE = re.compile(r'_base_\.(\w+)')
