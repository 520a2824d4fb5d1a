"""VoxelMorph and SynthMorph as their authors publish them: VxmDense of the TensorFlow code, in HDF5 files of Keras."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mmreg.errors import CheckpointError

from . import voxelmorph
from .base import Family

#: Layers: the model's name (``vxm_dense``, or none in older files) stands before them.
_BEFORE = r'(?:.*_)?'
_LAST = r'(?P<last>weight|bias)'
#: What the published code reads outside of a field: its nearest value.
_OUTSIDE = 'border'
_MOST_STEPS = 30
#: Convolutions of the networks of 2018, which Keras named by their numbers.
_UNNAMED = re.compile(r'conv[23]d(_\d+)?\.weight')


@dataclass(frozen=True)
class KerasFamily(Family):
    """VxmDense: the layers of its decoder are counted from the image's grid, ours from the coarsest one."""

    def convert(self, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As of :class:`Family`.

        Raises:
            CheckpointError: as of :class:`Family`.
        """
        result = super().convert(published)
        levels = 1 + max((int(key.split('.')[2]) for key in result if key.startswith('backbone.encoder.')), default=-1)
        return {_counted(key, levels): value for key, value in result.items()}


def _counted(key: str, levels: int) -> str:
    if not key.startswith('backbone.decoder.'):
        return key
    head, part, level, rest = key.split('.', 3)
    return f'{head}.{part}.{levels - 1 - int(level)}.{rest}'


def not_here(published: Mapping[str, Any]) -> str | None:
    """Which other network of VoxelMorph's authors it is."""
    if any('_hyp_dense_' in key for key in published):
        return (
            'these are weights of HyperMorph, whose convolutions another network makes of a hyperparameter: it is not '
            'here, expected those of VxmDense.'
        )
    if sum(_UNNAMED.fullmatch(key) is not None for key in published) > 4:
        return (
            'these are weights of layers without names, as of the networks of CVPR and MICCAI 2018, whose strided '
            'convolutions pad one side only: they are not here, expected those of VxmDense.'
        )
    return None


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Network of the shapes in a converted state dict; how its flow is integrated is the published default."""
    model = voxelmorph.describe(state)
    if 'flow_head.log_variance.weight' in state:
        model['flow_head'] |= {'type': 'GaussianFlowHead'}
    model['integrator']['padding'] = _OUTSIDE
    return model


def configure(model: dict[str, Any], arguments: Mapping[str, Any]) -> None:
    """Set what VxmDense's constructor arguments say about the field.

    ``int_downsize`` became ``int_resolution``, and ``unet_half_res`` ``svf_resolution`` 2, with the same meaning. A
    file that holds the layers instead of the arguments says the same in its layers.
    """
    told = _told_by_layers(arguments['layers']) if isinstance(arguments.get('layers'), list) else arguments
    steps = int(told.get('int_steps', 7))
    downsize = max(1, int(_first(told.get('int_downsize'), told.get('int_resolution'), 2)))
    half = 2 if told.get('unet_half_res') or model['backbone']['half_res'] else 1
    half = max(half, int(_first(told.get('svf_resolution'), half)))
    channels = [int(told.get(name, model['backbone']['image_channels'])) for name in ('src_feats', 'trg_feats')]
    _require(0 <= steps <= _MOST_STEPS, f'int_steps {steps}', f'0 to {_MOST_STEPS}')
    _require(half in (1, 2), f'svf_resolution {half}', '1 or 2')
    _require((half == 2) == model['backbone']['half_res'], f'svf_resolution {half}', 'that of its layers')
    coarse = half == 1 or (downsize == 2 and steps > 0)
    _require(coarse, f'int_steps {steps} and int_resolution {downsize} at half resolution', '1 or more and 2')
    _require(channels[0] == channels[1], f'images of {channels[0]} and {channels[1]} channels', 'as many in both')
    model['backbone']['image_channels'] = channels[0]
    given = {'int_steps': steps, 'int_downsize': downsize, 'bidir': bool(told.get('bidir', False))}
    voxelmorph.configure(model, given)
    if steps > 0:
        model['integrator']['padding'] = _OUTSIDE


def _first(*values: Any) -> Any:
    """The first that is not None."""
    return next((value for value in values if value is not None), None)


def _require(fits: bool, found: str, expected: str) -> None:
    if not fits:
        raise CheckpointError(f'the file asks for {found}, expected {expected}.')


def _told_by_layers(layers: list[Any]) -> dict[str, Any]:
    """Arguments of VxmDense as the layers of a model show them that was saved without them."""
    configs = {
        str(layer.get('class_name')): layer.get('config')
        for layer in layers
        if isinstance(layer, Mapping) and isinstance(layer.get('config'), Mapping)
    }
    integration, enlargement = configs.get('VecInt'), configs.get('RescaleTransform')
    told: dict[str, Any] = {'int_steps': 0 if integration is None else integration.get('int_steps', 7)}
    if enlargement is not None:  # the last one of that class brings the displacement to the image's grid
        told['int_downsize'] = round(float(enlargement.get('zoom_factor', enlargement.get('factor', 2))))
    elif integration is not None:
        told['int_downsize'] = 1
    told['bidir'] = sum(isinstance(x, Mapping) and x.get('class_name') == 'VecInt' for x in layers) > 1
    return told


FAMILY = KerasFamily(
    name='voxelmorph_keras',
    rules=[
        (
            rf'{_BEFORE}unet_(?P<part>enc|dec)_conv_(?P<level>\d+)_(?P<conv>\d+)\.{_LAST}',
            r'backbone.\g<part>oder.\g<level>.\g<conv>.conv.\g<last>',
        ),
        (rf'{_BEFORE}unet_dec_final_conv_(?P<conv>\d+)\.{_LAST}', r'backbone.remaining.\g<conv>.conv.\g<last>'),
        (rf'(?:vxm_dense_)?flow\.{_LAST}', r'flow_head.flow.conv.\g<last>'),
        (rf'(?:vxm_dense_)?log_sigma\.{_LAST}', r'flow_head.log_variance.\g<last>'),
    ],
    describe=describe,
    configure=configure,
    not_here=not_here,
    untold=('integrator', 'flow_head.int_downsize', 'flow_head.bidirectional'),
    note='VoxelMorph and SynthMorph: VxmDense (TensorFlow), HDF5 files of Keras',
)
